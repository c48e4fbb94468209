/** A picture: for each row a bar for everyone, as long as the figure is beside the longest of its row. */
import type { Outcome, Score } from '../contest.ts'
import { brief } from './markdown.ts'

const width = 900
const labelWidth = 330
const barWidth = 420
const lineHeight = 16
const gap = 12
const colors: Readonly<Record<string, string>> = { gantry: '#1a7f5a', floor: '#c9c9c9' }
const peerColor = '#8795a8'

export function drawBars(outcomes: readonly Outcome[]): string {
  let y = gap
  const parts: string[] = []
  for (const outcome of outcomes.filter(({ scores }) => scores.length > 0)) {
    const { text, height } = drawRow(outcome, y)
    parts.push(text)
    y += height + gap
  }
  const style = 'text{font:11px sans-serif;fill:#333}.row{font-weight:bold}'
  return [
    `<svg xmlns="http://www.w3.org/2000/svg" width="${width}" height="${y}" viewBox="0 0 ${width} ${y}">`,
    `<style>${style}</style><rect width="100%" height="100%" fill="#fff"/>`,
    ...parts,
    '</svg>\n',
  ].join('\n')
}

function drawRow({ row, scores }: Outcome, top: number): { text: string; height: number } {
  const longest = Math.max(...scores.map(({ figures }) => figures.median))
  const title = `<text class="row" x="8" y="${top + 11}">${escaped(row.name.replaceAll('`', ''))}</text>`
  const bars = scores.map((score, at) => drawBar(score, row.unit ?? 'ms', longest, top + lineHeight * (at + 1)))
  return { text: [title, ...bars].join('\n'), height: lineHeight * (scores.length + 1) }
}

function drawBar({ name, figures }: Score, unit: string, longest: number, y: number): string {
  const length = longest <= 0 ? 1 : Math.max(1, (figures.median / longest) * barWidth)
  const fill = colors[name] ?? peerColor
  return [
    `<text x="${labelWidth - 8}" y="${y + 11}" text-anchor="end">${escaped(name)}</text>`,
    `<rect x="${labelWidth}" y="${y + 2}" width="${length.toFixed(1)}" height="${lineHeight - 4}" fill="${fill}"/>`,
    `<text x="${(labelWidth + length + 6).toFixed(1)}" y="${y + 11}">${brief(figures.median)} ${escaped(unit)}</text>`,
  ].join('')
}

function escaped(text: string): string {
  return text.replaceAll('&', '&amp;').replaceAll('<', '&lt;').replaceAll('>', '&gt;')
}
