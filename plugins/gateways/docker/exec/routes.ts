/** `/containers/ID/exec` and `/exec/…`. */
import { multiplexedType, rawType } from '../containers/attach.ts'
import type { ContainerParts } from '../containers/containers.ts'
import { windowSize } from '../containers/routes.ts'
import { atLeast } from '../http/api-version.ts'
import { readJson } from '../http/body.ts'
import { badRequest } from '../http/http-error.ts'
import { pathParameter, type Request, type Routes } from '../http/routes.ts'
import { hijack } from '../http/upgrade.ts'
import { execSchema, execStartSchema } from './body.ts'
import type { Exec } from './exec-table.ts'

export function execRoutes(parts: ContainerParts): Routes {
  const { execs } = parts
  const exec = (request: Request) => execs.table.get(pathParameter(request, 'id'))
  return app => {
    app.post('/containers/:id/exec', async (request, reply) => {
      const wish = await readJson(request, execSchema)
      if ((wish.Cmd?.length ?? 0) === 0) throw badRequest('No exec command specified')
      return reply.code(201).send({ Id: await execs.create(pathParameter(request, 'id'), wish) })
    })
    app.post('/exec/:id/start', async (request, reply) => {
      const { Detach } = await readJson(request, execStartSchema, {})
      const chosen = exec(request)
      execs.checkStart(chosen)
      if (Detach) {
        await execs.startDetached(chosen)
        return reply.code(200).send()
      }
      const isFramed = !chosen.wish.Tty && atLeast(request.apiVersion, '1.42')
      await execs.startAttached(chosen, hijack(request, reply, isFramed ? multiplexedType : rawType))
      return reply
    })
    app.post('/exec/:id/resize', async (request, reply) => {
      const [height, width] = windowSize(request)
      await execs.resize(exec(request), height, width)
      return reply.code(200).send()
    })
    app.get('/exec/:id/json', async request => execJson(exec(request)))
  }
}

function execJson({ id, containerId, wish, pid, running, exitCode }: Exec): object {
  const user = wish.User || wish.containerUser
  const [entrypoint = '', ...args] = wish.Cmd ?? []
  return {
    ID: id,
    Running: running,
    ExitCode: exitCode ?? null,
    ProcessConfig: {
      tty: wish.Tty,
      entrypoint,
      arguments: args,
      privileged: wish.Privileged,
      ...(user && { user }),
    },
    OpenStdin: wish.AttachStdin,
    OpenStderr: wish.AttachStderr,
    OpenStdout: wish.AttachStdout,
    CanRemove: exitCode !== undefined,
    ContainerID: containerId,
    DetachKeys: '',
    Pid: pid,
  }
}
