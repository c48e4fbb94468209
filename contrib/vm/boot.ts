/**
 * `boot.ts FOLDER`: boots the guest, passes its console on, counts what its tests said and closes with
 * `N passed, N failed`. Fails when the guest does not come to its end.
 */
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { join } from 'node:path'

const folder = process.argv[2] ?? 'build/vm'
const limitMs = 45 * 60_000

const disk = (name: string, readonly: boolean) => [
  '-drive',
  `file=${join(folder, name)},if=virtio,format=raw${readonly ? ',snapshot=on' : ''}`,
]
const qemu = spawn(
  'qemu-system-x86_64',
  [
    ...[
      '-accel',
      'tcg,thread=multi',
      '-cpu',
      'max',
      '-smp',
      '2',
      '-m',
      '3G',
      '-nographic',
      '-no-reboot',
      '-nic',
      'none',
    ],
    ...['-kernel', join(folder, 'vmlinuz'), '-initrd', join(folder, 'initrd')],
    ...['-append', 'root=/dev/vda rw console=ttyS0 quiet loglevel=3 systemd.unified_cgroup_hierarchy=1 panic=-1'],
    ...disk('system.img', true),
    ...disk('payload.img', true),
  ],
  { stdio: ['ignore', 'pipe', 'inherit'] },
)
let consoleText = ''
qemu.stdout.on('data', (chunk: Buffer) => {
  consoleText += chunk.toString()
  process.stdout.write(chunk)
})
const timer = setTimeout(() => qemu.kill('SIGKILL'), limitMs)
await once(qemu, 'close')
clearTimeout(timer)

const text = consoleText.replaceAll('\r', '')
const rust = [...text.matchAll(/^test result: \w+\. (\d+) passed; (\d+) failed/gm)]
const node = [...text.matchAll(/^(\d+) passed, (\d+) failed/gm)]
const sum = (group: number) => [...rust, ...node].reduce((total, match) => total + Number(match[group]), 0)
const ended = /^guest: done/m.test(text)
if (!ended) console.log('FAILED: the guest did not come to its end')
console.log(`${sum(1)} passed, ${sum(2) + (ended ? 0 : 1)} failed`)
process.exitCode = ended && sum(2) === 0 && sum(1) > 0 ? 0 : 1
