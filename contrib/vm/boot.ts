/**
 * `boot.ts FOLDER`: boots the guest whose disks lie there, passes its console on, counts what its tests said and closes
 * with `N passed, N failed`. Fails when a test failed or the guest did not come to its end.
 */
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { availableParallelism } from 'node:os'
import { join } from 'node:path'
import { countOutcomes } from './outcomes.ts'

const folder = process.argv[2] ?? 'build/vm'
const limitMs = 45 * 60_000

/** What the guest writes is thrown away: every run starts from the same disks. */
const disk = (name: string) => ['-drive', `file=${join(folder, name)},if=virtio,format=raw,snapshot=on`]
const kernelArguments =
  'root=/dev/vda rw console=ttyS0 quiet loglevel=3 systemd.unified_cgroup_hierarchy=1 systemd.show_status=0 panic=-1'

const machine = ['-accel', 'tcg,thread=multi', '-cpu', 'max', '-smp', `${Math.min(4, availableParallelism())}`]
const qemu = spawn(
  'qemu-system-x86_64',
  [
    ...[...machine, '-m', '3G', '-nographic', '-no-reboot', '-nic', 'none'],
    ...['-kernel', join(folder, 'vmlinuz'), '-initrd', join(folder, 'initrd'), '-append', kernelArguments],
    ...disk('system.img'),
    ...disk('payload.img'),
  ],
  { stdio: ['ignore', 'pipe', 'inherit'] },
)
// A guest must not outlive who asked for it.
for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const) process.once(signal, () => qemu.kill('SIGKILL'))

let consoleText = ''
qemu.stdout.on('data', (chunk: Buffer) => {
  consoleText += chunk.toString()
  process.stdout.write(chunk)
})
const timer = setTimeout(() => qemu.kill('SIGKILL'), limitMs)
await once(qemu, 'close')
clearTimeout(timer)

const { passed, failed } = countOutcomes(consoleText)
for (const name of failed) console.log(`FAILED: ${name}`)
console.log(`${passed} passed, ${failed.length} failed`)
process.exitCode = failed.length === 0 && passed > 0 ? 0 : 1
