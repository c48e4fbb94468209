/** Go's string escapes (Go specification, "Rune literals"), which containerd's quoted values use. */

const escapes = /\\(?:([0-7]{3})|x([0-9A-Fa-f]{2})|u([0-9A-Fa-f]{4})|U([0-9A-Fa-f]{8})|(.))/gs
const named: Record<string, string> = { a: '\x07', b: '\b', f: '\f', n: '\n', r: '\r', t: '\t', v: '\v' }

/** The text of a quoted token that the scanner found well-formed. */
export function unquote(quoted: string): string {
  const body = quoted.slice(1, -1)
  if (!body.includes('\\')) return body
  return body.replace(escapes, (_all, octal, byte, short, long, char) => {
    if (octal !== undefined) return String.fromCharCode(Number.parseInt(octal, 8))
    const hex = byte ?? short ?? long
    if (hex !== undefined) return String.fromCodePoint(Math.min(Number.parseInt(hex, 16), 0x10ffff))
    return named[char] ?? char
  })
}
