/** A bundle for a shim under test: the host's own programs, read-only, in a root of their own. */
import { existsSync, lstatSync, mkdirSync, readlinkSync, symlinkSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { checkCgroup } from './shim-cgroups.ts'

export interface Process {
  readonly args: readonly string[]
  readonly terminal?: boolean
}

/** An OCI process (runtime-spec config.md, "Process"). */
export function processOf({ args, terminal = false }: Process): Record<string, unknown> {
  return {
    args,
    cwd: '/',
    terminal,
    env: ['PATH=/usr/sbin:/usr/bin:/sbin:/bin'],
    user: { uid: 0, gid: 0 },
    capabilities: Object.fromEntries(['bounding', 'effective', 'permitted'].map(set => [set, ['CAP_KILL']])),
  }
}

const hostFolders = ['bin', 'sbin', 'lib', 'lib64', 'usr']

/** Fills the folder `path`; its process can write to `/shared`, which is `<path>/shared` outside. */
export function writeBundle(path: string, id: string, process: Process): void {
  const rootfs = join(path, 'rootfs')
  for (const folder of ['rootfs', 'shared', 'work'].map(name => join(path, name)))
    mkdirSync(folder, { recursive: true })
  for (const name of ['proc', 'dev', 'shared']) mkdirSync(join(rootfs, name))
  writeFileSync(join(path, 'config.json'), JSON.stringify(specOf(path, id, process, prepareRoot(rootfs))))
}

/** Links stay links, folders become places to mount on; answers the latter. */
function prepareRoot(rootfs: string): string[] {
  const present = hostFolders.filter(name => existsSync(`/${name}`))
  const isLink = (name: string) => lstatSync(`/${name}`).isSymbolicLink()
  for (const name of present.filter(isLink)) symlinkSync(readlinkSync(`/${name}`), join(rootfs, name))
  const mounted = present.filter(name => !isLink(name))
  for (const name of mounted) mkdirSync(join(rootfs, name))
  return mounted
}

function specOf(path: string, id: string, process: Process, mounted: readonly string[]): unknown {
  const bind = (source: string, destination: string, ...options: string[]) => ({
    destination,
    type: 'bind',
    source,
    options: ['rbind', ...options],
  })
  return {
    ociVersion: '1.0.2',
    process: processOf(process),
    root: { path: 'rootfs' },
    hostname: 'checked',
    mounts: [
      { destination: '/proc', type: 'proc', source: 'proc' },
      { destination: '/dev', type: 'tmpfs', source: 'tmpfs', options: ['nosuid', 'mode=755', 'size=65536k'] },
      {
        destination: '/dev/pts',
        type: 'devpts',
        source: 'devpts',
        options: ['nosuid', 'noexec', 'newinstance', 'ptmxmode=0666', 'mode=0620'],
      },
      ...mounted.map(name => bind(`/${name}`, `/${name}`, 'ro')),
      bind(join(path, 'shared'), '/shared', 'rw'),
    ],
    linux: {
      cgroupsPath: `/${checkCgroup}/${id}`,
      namespaces: ['pid', 'ipc', 'uts', 'mount', 'network'].map(type => ({ type })),
      resources: { devices: [{ allow: true, access: 'rwm' }] },
    },
  }
}
