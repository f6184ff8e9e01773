// Where a module of ours lies, in a checkout (.ts) and in the published package (.js) alike:
// the compiler rewrites the extension of imports, but not that of a string.

/**
 * @param base  `import.meta.url` of the caller
 * @param path  of the module relative to the caller, as an import would name it: './worker.ts'
 * @returns what `new Worker` takes
 */
export function moduleUrl(base: string, path: string): URL {
  return new URL(base.endsWith('.ts') ? path : path.replace(/\.ts$/, '.js'), base)
}
