/** docs/performance.md holds the last full run: between two marks, the rest is prose of people. */
import { mkdir, readFile, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { drawBars } from './bars.ts'
import { type Report, toMarkdown } from './write-report.ts'

const begin = '<!-- run: written by npm run bench -- --docs -->'
const end = '<!-- end of run -->'

/** `docs`: the folder. Throws when the page lacks the marks. */
export async function updateDocs(docs: string, report: Report): Promise<void> {
  const page = join(docs, 'performance.md')
  await writeFile(page, replaceRun(await readFile(page, 'utf8'), toMarkdown(report)))
  await mkdir(join(docs, 'img'), { recursive: true })
  await writeFile(join(docs, 'img', 'bench.svg'), drawBars(report.groups.flatMap(group => group.outcomes)))
}

export function replaceRun(page: string, run: string): string {
  const [from, to] = [page.indexOf(begin), page.indexOf(end)]
  if (from === -1 || to < from) throw new Error(`the page lacks "${begin}" with "${end}" after it`)
  return `${page.slice(0, from + begin.length)}\n${run.trim()}\n${page.slice(to)}`
}
