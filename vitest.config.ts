import { defineConfig } from 'vitest/config'

// Two projects: `unit` needs nothing but this checkout; `live` starts real servers, one file at a
// time, because two databases and a pipeline already fill two cores.
export default defineConfig({
  test: {
    projects: [
      {
        test: {
          name: 'unit',
          include: ['test/**/*.test.ts', 'runtime/**/*.test.ts', 'connectors/**/*.test.ts'],
          exclude: ['**/*.live.test.ts', 'node_modules/**', 'dist/**'],
          testTimeout: 60_000,
        },
      },
      {
        test: {
          name: 'live',
          include: ['test/**/*.live.test.ts', 'connectors/**/*.live.test.ts'],
          exclude: ['node_modules/**', 'dist/**'],
          fileParallelism: false,
          testTimeout: 600_000,
          hookTimeout: 300_000,
        },
      },
    ],
  },
})
