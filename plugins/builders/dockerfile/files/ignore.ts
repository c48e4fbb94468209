/** `.dockerignore`: which files of a context a build sees. */
import imported from '@balena/dockerignore'

// The package is CommonJS whose declarations speak of a default export: at run time the import is the function itself.
const dockerignore = imported as unknown as typeof imported.default

/** True for a path (relative, `/` between names) that the build is not to see. */
export type Ignore = (path: string) => boolean

/** Reads the file's text: a pattern a line, `!` brings back, `#` comments, the last match decides. */
export function parseIgnore(text: string): Ignore {
  const rules = dockerignore({ ignorecase: false }).add(text.replace(/^\uFEFF/, ''))
  return path => rules.ignores(path)
}

/** Patterns of `--exclude`, which mean the same. */
export function excluding(patterns: readonly string[]): Ignore {
  if (patterns.length === 0) return () => false
  const rules = dockerignore({ ignorecase: false }).add([...patterns])
  return path => rules.ignores(path)
}
