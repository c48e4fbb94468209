/** Rules for standard streams and for events. */
import assert from 'node:assert/strict'
import { constants } from 'node:os'
import type { ShimChecks } from './executable-checks.ts'
import { eventually, Subject, soon } from './shim-bench.ts'

const much = 1 << 20
const { SIGKILL } = constants.signals

export const streamChecks: ShimChecks = {
  'standard output and error are two streams': async shim => {
    await using subject = await Subject.running(shim, 'echo out; echo err >&2')
    await subject.ended()
    await soon(
      Promise.all([
        subject.stdout.until(text => text.length >= 'out\n'.length),
        subject.stderr.until(text => text.length >= 'err\n'.length),
      ]),
      'both streams',
    )
    assert.deepEqual([subject.stdout.text, subject.stderr.text], ['out\n', 'err\n'])
  },

  'all that was written comes out, also of a process that ended at once': async shim => {
    await using subject = await Subject.running(shim, `head -c ${much} /dev/zero | tr '\\0' y`)
    await subject.ended()
    const text = await soon(
      subject.stdout.until(all => all.length >= much),
      'its output',
    )
    assert.ok(text === 'y'.repeat(much), `${text.length} bytes`)
  },

  'standard input arrives, and CloseIO ends it': async shim => {
    await using subject = await Subject.running(shim, 'cat; echo end')
    subject.stdin.write('typed\n')
    await soon(
      subject.stdout.until(text => text === 'typed\n'),
      'what was typed',
    )
    subject.stdin.close()
    await soon(subject.api.closeIO({ id: subject.id, stdin: true }), 'CloseIO')
    assert.equal(await subject.ended(), 0)
    await soon(
      subject.stdout.until(text => text === 'typed\nend\n'),
      'the rest',
    )
  },

  'a terminal has a size, which can be changed': async shim => {
    await using subject = await Subject.running(
      shim,
      'stty size; read line; stty size; test -t 0; echo "is a terminal $?"',
      {
        terminal: true,
      },
    )
    await soon(
      subject.stdout.until(text => /^\d+ \d+\r\n/.test(text)),
      'its first size',
    )
    await soon(subject.api.resizePty({ id: subject.id, width: 99, height: 33 }), 'ResizePty')
    subject.stdin.write('\n')
    await soon(
      subject.stdout.until(text => /\n33 99\r\nis a terminal 0\r\n/.test(text)),
      'its new size',
    )
    assert.equal(await subject.ended(), 0)
  },

  'events tell the life of a container, in its order': async shim => {
    await using subject = await Subject.running(shim, 'exit 4')
    const { pid } = await subject.api.state({ id: subject.id })
    await subject.ended()
    await subject.api.delete({ id: subject.id })
    await soon(
      subject.events.until(() => subject.events.topics().includes('/tasks/delete')),
      'its events',
    )
    assert.deepEqual(subject.events.topics(), ['/tasks/create', '/tasks/start', '/tasks/exit', '/tasks/delete'])
    assert.ok(
      subject.events.received.every(({ namespace }) => namespace === subject.place.namespace),
      'in its namespace',
    )
    const [exit] = subject.events.exits()
    assert.deepEqual(
      [exit?.containerId, exit?.id, exit?.pid, exit?.exitStatus],
      [subject.id, subject.id, pid, 4],
      'the exit event',
    )
    assert.ok(exit?.exitedAt)
  },

  'the start is told before the end, however soon that is': async shim => {
    for (let round = 0; round < 5; round++) {
      await using subject = await Subject.running(shim, 'true')
      await soon(
        subject.events.until(() => subject.events.exits().length > 0),
        'the exit event',
      )
      const topics = subject.events.topics()
      assert.ok(topics.indexOf('/tasks/start') >= 0 && topics.indexOf('/tasks/start') < topics.indexOf('/tasks/exit'))
    }
  },

  'events tell a further process by its id': async shim => {
    await using subject = await Subject.running(shim, 'sleep 1000')
    await subject.exec('more', 'exit 6')
    await subject.api.start({ id: subject.id, execId: 'more' })
    await soon(
      subject.events.until(() => subject.events.exits().length > 0),
      'the exit event',
    )
    const topics = subject.events.topics()
    assert.deepEqual(topics.slice(2, 4), ['/tasks/exec-added', '/tasks/exec-started'])
    const [exit] = subject.events.exits()
    assert.deepEqual([exit?.containerId, exit?.id, exit?.exitStatus], [subject.id, 'more', 6])
  },

  'one end is told once': async shim => {
    await using subject = await Subject.running(shim, 'sleep 1000')
    await subject.api.kill({ id: subject.id, signal: SIGKILL })
    await subject.ended()
    await subject.api.delete({ id: subject.id })
    await eventually(() => subject.events.topics().includes('/tasks/delete'), 'its last event')
    assert.equal(subject.events.exits().length, 1)
  },
}
