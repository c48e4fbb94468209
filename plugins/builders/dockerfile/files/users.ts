/** `--chown=user:group`: names as the image's own files know them. */
import { invalidArgument } from '#api/errors/errors.ts'
import { resolvePath, type SourceTree } from './source-tree.ts'

export interface Owner {
  readonly uid: number
  readonly gid: number
}

/** INVALID_ARGUMENT for a name that `/etc/passwd` or `/etc/group` lacks. A user alone brings its own number as group. */
export async function ownerOf(image: SourceTree, text: string): Promise<Owner> {
  const [user = '', group] = text.split(':')
  const uid = await numberOf(image, '/etc/passwd', user, 'user')
  return { uid, gid: group === undefined || group === '' ? uid : await numberOf(image, '/etc/group', group, 'group') }
}

async function numberOf(image: SourceTree, file: string, name: string, kind: string): Promise<number> {
  if (/^\d+$/.test(name)) return Number(name)
  const entry = await image.at(await resolvePath(image, file))
  const text = entry?.type === 'file' ? Buffer.concat(await image.read(entry).toArray()).toString() : ''
  const fields = text.split('\n').map(line => line.split(':'))
  const id = fields.find(([known]) => known === name)?.[2]
  if (id === undefined) throw invalidArgument(`unable to find ${kind} ${name}: no matching entries in ${file} file`)
  return Number(id)
}
