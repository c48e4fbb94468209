/** Runtime specs and processes of tiny containers, and what is none. */

interface Places {
  readonly folder: string
  readonly cgroup: string
}

const plain = { cwd: '/', env: ['PATH=/bin'], user: { uid: 0, gid: 0 }, noNewPrivileges: true }

export function specOf({ folder, cgroup }: Places, id: string, args: readonly string[]) {
  return {
    ociVersion: '1.0.2',
    root: { path: `${folder}/rootfs`, readonly: true },
    process: { ...plain, args },
    mounts: [{ destination: '/proc', type: 'proc', source: 'proc' }],
    linux: {
      cgroupsPath: `/${cgroup}/${id}`,
      namespaces: ['pid', 'ipc', 'uts', 'mount', 'network'].map(type => ({ type })),
    },
  }
}

export function specs(places: Places): unknown[] {
  const good = ['sleep 1000', 'true', '/nope'].map((words, i) => specOf(places, `s${i}`, words.split(' ')))
  return [...good, {}, [], null, { ...specOf(places, 'x', []), process: { args: 7 } }]
}

export const processes: unknown[] = [
  { ...plain, args: ['true'] },
  { ...plain, args: ['sleep', '1000'] },
  { ...plain, args: ['/nope'] },
  { args: [] },
  null,
]
