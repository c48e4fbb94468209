/** The ways to look at a build, as `--progress` names them. All of them write to standard error: the result is for standard output. */
import { invalidArgument } from '#api/errors/errors.ts'
import type { BuildResponse } from '#api/gen/gantry/services/builder/v1/builder.ts'
import { progressKinds } from '../../builds/progress-kinds.ts'
import { BuildProgress } from './build-progress.ts'
import { failedStep } from './failed-step.ts'

export interface BuildView {
  tell(event: BuildResponse): void
  /** Nothing is told after it. `failed`: the build ended with an error, which is shown by who called. */
  end(failed: boolean): void
}

/** `auto` is `tty` on a terminal and `plain` elsewhere. INVALID_ARGUMENT for another word. */
export async function buildView(kind: string, out: NodeJS.WriteStream): Promise<BuildView> {
  switch (kind === 'auto' ? (out.isTTY ? 'tty' : 'plain') : kind) {
    case 'plain':
      return withFailure(new (await import('./plain-build.ts')).PlainBuild(out), out)
    case 'tty':
      return withFailure(new (await import('./terminal-build.ts')).TerminalBuild(out), out)
    case 'rawjson':
      return new (await import('./raw-build.ts')).RawBuild(out)
    case 'quiet':
      return { tell() {}, end() {} }
    default:
      throw invalidArgument(`--progress "${kind}": it is one of ${progressKinds.join(', ')}`)
  }
}

/** Says at the end which step failed: its lines stand far above, or were folded. */
function withFailure(view: BuildView, out: NodeJS.WriteStream): BuildView {
  const progress = new BuildProgress()
  return {
    tell(event) {
      progress.tell(event)
      view.tell(event)
    },
    end(failed) {
      view.end(failed)
      if (failed) out.write(failedStep(progress))
    },
  }
}
