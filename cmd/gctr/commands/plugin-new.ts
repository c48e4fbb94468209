/** `plugins new`: a folder with a plugin that works, to start from. The templates are the examples that CI builds and runs. */
import { cpSync, existsSync, readdirSync, readFileSync, realpathSync, writeFileSync } from 'node:fs'
import { dirname, join, resolve } from 'node:path'
import { alreadyExists, invalidArgument, notFound, notImplemented } from '#api/errors/errors.ts'
import type { Session } from '../session.ts'

interface Flags {
  kind: string
  language: string
}

/** Other examples use the SDK of the checkout they lie in. */
const standsAlone = /^python-/

/** File of a template that holds the contracts, for languages that read them at run time. */
const contracts = 'contract.binpb'

export async function create(_session: Session, { kind, language }: Flags, path: string): Promise<void> {
  const folder = resolve(path)
  const id = folder.slice(dirname(folder).length).replace('/', '')
  if (!/^[a-z0-9]+(-[a-z0-9]+)*$/.test(id))
    throw invalidArgument(`"${id}" cannot be a plugin's id: it must be lower-case words joined by "-"`)
  if (existsSync(folder)) throw alreadyExists(`folder ${folder}`)
  const { templates, image } = places()
  const template = join(templates, `${language}-${kind}`)
  if (!standsAlone.test(`${language}-${kind}`) || !existsSync(template))
    throw notImplemented(
      `a template for a ${kind} in ${language} (there are: ${readdirSync(templates)
        .filter(name => standsAlone.test(name))
        .sort()
        .join(', ')})`,
    )
  cpSync(template, folder, { recursive: true, filter: source => !source.includes('__pycache__') })
  if (language === 'python') cpSync(image, join(folder, contracts))
  const manifest = join(folder, 'plugin.toml')
  writeFileSync(manifest, readFileSync(manifest, 'utf8').replace(/^id = ".*"$/m, `id = "${id}"`))
  console.log(folder)
}

/** Beside us in a build, in their own folders in the sources. */
function places(): { templates: string; image: string } {
  const here = dirname(realpathSync(process.argv[1] ?? '.'))
  const built = { templates: join(here, 'templates'), image: join(here, 'contracts.binpb') }
  const repo = join(here, '../..')
  const sources = { templates: join(repo, 'contrib/examples'), image: join(repo, 'build/contracts.binpb') }
  for (const found of [built, sources]) if (existsSync(found.templates) && existsSync(found.image)) return found
  throw notFound(`the templates (neither ${built.templates} nor ${sources.templates} with ${sources.image})`)
}
