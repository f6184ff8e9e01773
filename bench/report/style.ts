// The page's style: system fonts, two sets of colours, chosen by what the reader's system prefers.
// Neighbouring looks differ in lightness too, for those who do not see all colours and for paper.

const LIGHT = {
  page: '#ffffff',
  text: '#1b1f24',
  faint: '#57606a',
  rule: '#d0d7de',
  ours: '#0b63c4',
  denominator: '#8c959f',
  alternative: '#d9730d',
  peer: '#8250df',
  looks: ['#0b63c4', '#d9730d', '#2d8a4e', '#8250df', '#b8860b', '#c2255c', '#0c8599', '#57606a'],
}

const DARK: typeof LIGHT = {
  page: '#0d1117',
  text: '#e6edf3',
  faint: '#9aa4ae',
  rule: '#30363d',
  ours: '#58a6ff',
  denominator: '#6e7681',
  alternative: '#f0883e',
  peer: '#bc8cff',
  looks: ['#58a6ff', '#f0883e', '#56d364', '#bc8cff', '#e3b341', '#ff7eb6', '#39c5cf', '#9aa4ae'],
}

function variables({ looks, ...named }: typeof LIGHT): string {
  const all = [...Object.entries(named), ...looks.map((look, at) => [`look-${at}`, look] as const)]
  return all.map(([name, value]) => `--${name}:${value}`).join(';')
}

function fills(): string {
  const kinds = ['ours', 'denominator', 'alternative', 'peer']
  const names = [...kinds, ...LIGHT.looks.map((_, at) => `look-${at}`)]
  return names
    .map(
      (name) =>
        `.${name}{fill:var(--${name});background:var(--${name})}` +
        `.${name}.line{fill:none;stroke:var(--${name});stroke-width:2;stroke-linejoin:round}`,
    )
    .join('\n')
}

export const STYLE = `
:root{color-scheme:light dark;${variables(LIGHT)}}
@media(prefers-color-scheme:dark){:root{${variables(DARK)}}}
*{box-sizing:border-box}
body{margin:0 auto;padding:24px;max-width:860px;background:var(--page);color:var(--text);
font:15px/1.5 system-ui,"Segoe UI","DejaVu Sans",sans-serif}
h1{font-size:26px;margin:0 0 8px}
h2{font-size:20px;margin:0 0 4px}
p{margin:4px 0}
a{color:var(--ours)}
code{font:12px/1.5 ui-monospace,"DejaVu Sans Mono",monospace;overflow-wrap:anywhere}
nav{margin:16px 0;display:flex;flex-wrap:wrap;gap:4px 16px}
section{border-top:1px solid var(--rule);margin-top:28px;padding-top:20px}
figure{margin:20px 0}
figcaption{font-weight:600}
.origin,.notes,.legend,header p{color:var(--faint);font-size:13px}
.legend span{display:inline-block;margin-right:16px}
.legend i{display:inline-block;width:10px;height:10px;border-radius:2px;margin-right:6px}
svg{display:block;max-width:100%;min-width:560px;height:auto;font:12px system-ui,"DejaVu Sans",sans-serif}
svg text{fill:var(--text)}
svg .end{text-anchor:end}
svg .middle{text-anchor:middle}
svg .tick,svg .axis{fill:var(--faint)}
svg .value{font-weight:600}
.grid{stroke:var(--rule);fill:none}
.whisker{stroke:var(--text);stroke-width:1.5}
.unseen{fill:var(--rule);background:var(--rule)}
.wide{overflow-x:auto}
table{border-collapse:collapse;font-size:13px;white-space:nowrap}
th,td{padding:4px 10px;border-bottom:1px solid var(--rule);text-align:right}
th:first-child,td:first-child{text-align:left;padding-left:0}
th{color:var(--faint);font-weight:600}
.floors,.commands{padding-left:20px;font-size:13px}
${fills()}
`
