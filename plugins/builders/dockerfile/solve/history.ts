/** The line that an image's history keeps of an instruction, in the words of Docker's classic builder. */
export function historyLine(keyword: string, text: string): string {
  // Docker writes two blanks before what it composes from words, one before COPY and ADD.
  const gap = keyword === 'COPY' || keyword === 'ADD' || keyword === 'WORKDIR' ? ' ' : '  '
  return `/bin/sh -c #(nop)${gap}${text}`
}
