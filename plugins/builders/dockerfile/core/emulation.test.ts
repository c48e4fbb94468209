import assert from 'node:assert/strict'
import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { test } from 'node:test'
import { hostPlatform } from '#api/types/platform.ts'
import { requireRunnable } from './emulation.ts'

const s390x = { os: 'linux', architecture: 's390x', variant: '' }
const entry = (state: string, flags: string) =>
  `${state}\ninterpreter /usr/bin/qemu-s390x-static\nflags: ${flags}\noffset 0\nmagic 7f454c4602020100000000000000000000020016\nmask ff\n`

test('an emulator counts when it is enabled, works in any root, and is for that architecture', async () => {
  const folder = await mkdtemp(join(tmpdir(), 'gt-binfmt-'))
  const runs = async (content: string) => {
    await writeFile(join(folder, 'qemu-s390x'), content)
    return requireRunnable(s390x, folder)
  }
  try {
    await requireRunnable(hostPlatform(), folder)
    await assert.rejects(requireRunnable(s390x, folder), {
      code: 'FAILED_PRECONDITION',
      message: /linux\/s390x on this/,
    })
    await assert.rejects(runs(entry('disabled', 'F')), { code: 'FAILED_PRECONDITION' })
    await assert.rejects(runs(entry('enabled', 'OC')), { code: 'FAILED_PRECONDITION' })
    await runs(entry('enabled', 'OCF'))
    await assert.rejects(requireRunnable({ ...s390x, architecture: 'riscv64' }, folder), {
      code: 'FAILED_PRECONDITION',
    })
    await assert.rejects(requireRunnable({ ...hostPlatform(), os: 'windows' }, folder), { code: 'FAILED_PRECONDITION' })
  } finally {
    await rm(folder, { recursive: true })
  }
})
