/** Sizes as Docker writes them: decimal units, four digits that count. */
const units = ['B', 'kB', 'MB', 'GB', 'TB', 'PB', 'EB']

export function formatSize(bytes: number): string {
  let value = bytes
  let unit = 0
  while (value >= 1000 && unit < units.length - 1) {
    value /= 1000
    unit++
  }
  return `${Number(value.toPrecision(4))}${units[unit]}`
}
