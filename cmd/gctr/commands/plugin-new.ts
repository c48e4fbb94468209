/** `plugins new`: a folder with a plugin that works, to start from. The templates are the examples that CI builds and runs. */
import {
  cpSync,
  existsSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  realpathSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs'
import { basename, dirname, join, resolve } from 'node:path'
import { alreadyExists, invalidArgument, notFound, notImplemented } from '#api/errors/errors.ts'
import type { Session } from '../session.ts'

interface Flags {
  kind: string
  language: string
}

/** `<language>-<kind>`; `<language>-common` is what all of a language have. */
const templateName = /^(go|python|rust|typescript)-(?!common$)(.+)$/
/** What building and running an example leaves in it. */
const leftOut = /(__pycache__|\/target|\/node_modules|\/plugin)$/

/** Files of a template that hold the contracts, for languages that read them when they are built or run. */
const contracts = 'contract.binpb'

/** How a plugin outside of our sources finds the SDK: what `#sdk` and `#api` mean within them. */
const packageJson = {
  private: true,
  type: 'module',
  imports: { '#sdk/*': '@gantry/sdk/*', '#api/*': '@gantry/api/*' },
}

export async function create(_session: Session, { kind, language }: Flags, path: string): Promise<void> {
  const folder = resolve(path)
  const id = basename(folder)
  if (!/^[a-z0-9]+(-[a-z0-9]+)*$/.test(id))
    throw invalidArgument(`"${id}" cannot be a plugin's id: it must be lower-case words joined by "-"`)
  if (existsSync(folder)) throw alreadyExists(`folder ${folder}`)
  const found = places()
  const template = join(found.templates, `${language}-${kind}`)
  if (!templateName.test(basename(template)) || !existsSync(template))
    throw notImplemented(
      `a template for a ${kind} in ${language} (there are: ${templatesIn(found.templates).join(', ')})`,
    )
  for (const part of [join(found.templates, `${language}-common`), template])
    if (existsSync(part)) cpSync(part, folder, { recursive: true, filter: source => !leftOut.test(source) })
  if (language === 'typescript') linkSdk(folder, found.sources)
  else cpSync(found.image, join(folder, contracts))
  rename(folder, id)
  console.log(folder)
}

function templatesIn(folder: string): string[] {
  return readdirSync(folder)
    .flatMap(name => {
      const [, language, kind] = templateName.exec(name) ?? []
      return kind === undefined ? [] : [`${kind} in ${language}`]
    })
    .sort()
}

/** The example's id becomes the folder's name, wherever it stands. */
function rename(folder: string, id: string): void {
  const manifest = join(folder, 'plugin.toml')
  const was = /^id = "(.*)"$/m.exec(readFileSync(manifest, 'utf8'))?.[1] ?? ''
  for (const [path, quote] of [
    [manifest, '"'],
    [join(folder, 'main.ts'), "'"],
  ] as const)
    if (existsSync(path))
      writeFileSync(
        path,
        readFileSync(path, 'utf8').replace(new RegExp(`(id ?[:=] )${quote}${was}${quote}`), `$1${quote}${id}${quote}`),
      )
}

/** The SDK is TypeScript in our sources; editors and Node find it by these links. */
function linkSdk(folder: string, sources: string): void {
  const scope = join(folder, 'node_modules/@gantry')
  mkdirSync(scope, { recursive: true })
  symlinkSync(join(sources, 'plugins/sdk'), join(scope, 'sdk'))
  symlinkSync(join(sources, 'api'), join(scope, 'api'))
  writeFileSync(join(folder, 'package.json'), `${JSON.stringify(packageJson, undefined, 2)}\n`)
}

interface Places {
  readonly templates: string
  readonly image: string
  /** Our sources: a build lies in them. */
  readonly sources: string
}

/** Beside us in a build, in their own folders in the sources. */
function places(): Places {
  const here = dirname(realpathSync(process.argv[1] ?? '.'))
  const sources = join(here, '../..')
  const built = { templates: join(here, 'templates'), image: join(here, 'contracts.binpb'), sources }
  const plain = { templates: join(sources, 'contrib/examples'), image: join(sources, 'build/contracts.binpb'), sources }
  for (const found of [built, plain]) if (existsSync(found.templates) && existsSync(found.image)) return found
  throw notFound(`the templates (neither ${built.templates} nor ${plain.templates} with ${plain.image})`)
}
