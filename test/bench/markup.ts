// Whether a text is markup that closes what it opens: enough to see that no name has broken out.

/** Elements of HTML that have no end. */
const VOID = new Set(['!doctype', 'meta', 'br'])

/** @throws Error at the first tag that closes another than the last that was opened */
export function requireBalanced(markup: string): void {
  const open: string[] = []
  const text = markup.replace(/<(?:"[^"]*"|[^<>"])*>/g, (tag) => {
    const [, end = '', name = ''] = /^<(\/?)([a-z][a-z0-9]*|!doctype)\b/.exec(tag) ?? []
    if (name === '') throw new Error(`not a tag: ${tag}`)
    if (end === '/') {
      if (open.pop() !== name) throw new Error(`${tag} closes nothing`)
    } else if (!tag.endsWith('/>') && !VOID.has(name)) open.push(name)
    return ''
  })
  if (open.length > 0) throw new Error(`not closed: ${open.join()}`)
  if (/[<>]/.test(text)) throw new Error(`markup in the text: ${text}`)
}
