import { defineConfig } from 'vitest/config'

// Two projects: `unit` needs nothing but this checkout; `live` starts real servers, two files at a
// time: one alone waits for half of its time, three would starve the pipelines under test.
export default defineConfig({
  test: {
    projects: [
      {
        test: {
          name: 'unit',
          globalSetup: 'test/servers/temporary.ts',
          include: ['test/**/*.test.ts', 'runtime/**/*.test.ts', 'connectors/**/*.test.ts'],
          exclude: ['**/*.live.test.ts', 'node_modules/**', 'dist/**'],
          testTimeout: 60_000,
          sequence: { groupOrder: 0 },
        },
      },
      {
        test: {
          name: 'live',
          globalSetup: [
            'test/servers/temporary.ts',
            'test/servers/program.ts',
            'test/servers/readers.ts',
          ],
          include: ['test/**/*.live.test.ts', 'connectors/**/*.live.test.ts'],
          exclude: ['node_modules/**', 'dist/**'],
          maxWorkers: 2,
          sequence: { groupOrder: 1 },
          testTimeout: 600_000,
          hookTimeout: 300_000,
        },
      },
    ],
  },
})
