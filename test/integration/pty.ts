/** A command on a real terminal: python3's pty module holds the other side. */
import { type CommandOutcome, runCommand } from '../daemon/run-command.ts'

/** What is typed once the command has printed `after` since the step before. */
export interface Step {
  after: string
  type?: string
  /** Window size from now on: rows, columns. */
  size?: [number, number]
}

const driver = `
import fcntl, json, os, pty, select, struct, sys, termios, time
steps, argv, limit = json.loads(sys.argv[1]), sys.argv[2:], time.time() + float(os.environ['LIMIT'])
pid, fd = pty.fork()
if pid == 0:
    os.execvp(argv[0], argv)
resize = lambda size: fcntl.ioctl(fd, termios.TIOCSWINSZ, struct.pack('HHHH', size[0], size[1], 0, 0))
resize([24, 80])
seen, mark = b'', 0
while time.time() < limit:
    if select.select([fd], [], [], 0.05)[0]:
        try:
            seen += os.read(fd, 65536)
        except OSError:
            break
    if steps and seen.find(steps[0]['after'].encode(), mark) >= 0:
        step, mark = steps.pop(0), len(seen)
        if 'size' in step:
            resize(step['size'])
        os.write(fd, step.get('type', '').encode())
else:
    os.kill(pid, 9)
status = os.waitpid(pid, 0)[1]
sys.stdout.buffer.write(seen)
sys.exit(os.waitstatus_to_exitcode(status) & 255)
`

/** stdout is what the terminal showed, CR LF and all. Killed after 30 s. */
export function runOnTerminal(argv: readonly string[], steps: readonly Step[]): Promise<CommandOutcome> {
  return runCommand(['python3', '-c', driver, JSON.stringify(steps), ...argv], { env: { LIMIT: '30', TERM: 'dumb' } })
}
