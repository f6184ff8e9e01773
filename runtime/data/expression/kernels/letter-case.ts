// Upper and lower case of one code point at a time, as Unicode's simple mappings have it: no text
// grows, and no letter depends on its neighbours or on a language.

export function upperText(text: string): string {
  let upper = ''
  for (const character of text) upper += single(character.toUpperCase(), character)
  return upper
}

export function lowerText(text: string): string {
  let lower = ''
  // The one letter whose full mapping has two code points and whose simple one has not.
  for (const character of text)
    lower += character === 'İ' ? 'i' : single(character.toLowerCase(), character)
  return lower
}

function single(mapped: string, character: string): string {
  return String.fromCodePoint(mapped.codePointAt(0) ?? 0) === mapped ? mapped : character
}
