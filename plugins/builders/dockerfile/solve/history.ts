/** Lines of an image's history, in the words of Docker's classic builder, which tools read. */
import { defaultShell, runConfig, type StageState } from './stage-state.ts'

/** Of an instruction that runs nothing: the shell stands before it all the same. */
export function historyLine(state: StageState, keyword: string, text: string): string {
  // Docker writes two blanks before what it composes from words, one before COPY, ADD and WORKDIR.
  const gap = keyword === 'COPY' || keyword === 'ADD' || keyword === 'WORKDIR' ? ' ' : '  '
  return `${(runConfig(state).Shell ?? defaultShell).join(' ')} #(nop)${gap}${text}`
}
