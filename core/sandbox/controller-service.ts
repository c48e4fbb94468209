import { invalidArgument, isGantryError, notFound } from '#api/errors/errors.ts'
import { SandboxCreate, SandboxExit, SandboxStart } from '#api/gen/containerd/events/sandbox.ts'
import type { ControllerCreateRequest, ControllerDefinition } from '#api/gen/containerd/services/sandbox/v1/sandbox.ts'
import type { ServiceImpl } from '#api/rpc/server.ts'
import { type EventPublisher, eventAny } from '#core/events/events.ts'
import { now } from '#core/metadata/metadata.ts'
import type { Sandboxes, SandboxSpec } from './sandboxes.ts'
import type { ShimController } from './shim-controller.ts'
import { specOf } from './store-service.ts'

export interface ControllerServiceParts {
  readonly sandboxes: Sandboxes
  readonly shim: ShimController
  readonly events: EventPublisher
}

/** containerd.services.sandbox.v1.Controller: `shim` is the one controller there is. Messages are containerd's. */
export function sandboxControllerService({
  sandboxes,
  shim,
  events,
}: ControllerServiceParts): ServiceImpl<typeof ControllerDefinition> {
  const controller = (name: string): ShimController => {
    if (name === 'shim') return shim
    if (name === '') throw invalidArgument('invalid argument: sandbox controller name can not be empty', { bare: true })
    throw notFound(`not found: failed to get sandbox controller by ${name}`, { bare: true })
  }
  return {
    async create(request, { namespace }) {
      const { sandboxId, sandboxer, rootfs, options, netnsPath, annotations } = request
      const chosen = controller(sandboxer)
      const spec = await specIn(request, namespace, sandboxes)
      await chosen.create(namespace, spec, { rootfs, options, netnsPath, annotations })
      events.publish(
        namespace,
        '/sandboxes/create',
        eventAny('containerd.events.SandboxCreate', SandboxCreate, { sandboxId }),
      )
      return { sandboxId }
    },
    async start({ sandboxId, sandboxer }, { namespace }) {
      const started = await controller(sandboxer).start(namespace, sandboxId)
      events.publish(
        namespace,
        '/sandboxes/start',
        eventAny('containerd.events.SandboxStart', SandboxStart, { sandboxId }),
      )
      return { ...started, sandboxId }
    },
    async platform({ sandboxId, sandboxer }, { namespace }) {
      return await controller(sandboxer).platform(namespace, sandboxId)
    },
    async stop({ sandboxId, sandboxer, timeoutSecs }, { namespace }) {
      await controller(sandboxer).stop(namespace, sandboxId, timeoutSecs)
      return {}
    },
    async wait({ sandboxId, sandboxer }, { namespace }) {
      const { exit, isFirst } = await controller(sandboxer).wait(namespace, sandboxId)
      const event = eventAny('containerd.events.SandboxExit', SandboxExit, { sandboxId, ...exit })
      if (isFirst) events.publish(namespace, '/sandboxes/exit', event)
      return exit
    },
    async status({ sandboxId, sandboxer, verbose }, { namespace }) {
      const status = await controller(sandboxer).status(namespace, sandboxId, verbose)
      return status ?? { sandboxId, exitedAt: now() }
    },
    async shutdown({ sandboxId, sandboxer }, { namespace }) {
      await controller(sandboxer).shutdown(namespace, sandboxId)
      return {}
    },
    async metrics({ sandboxId, sandboxer }, { namespace }) {
      return await controller(sandboxer).metrics(namespace, sandboxId)
    },
    // As containerd's: the shim protocol has no update, so it is the record alone that changes, by the store.
    async update({ sandboxId, sandboxer }, { namespace }) {
      await controller(sandboxer).require(namespace, sandboxId)
      return {}
    },
  }
}

/** What the request carries (containerd 2.x), or else the stored record. */
async function specIn(
  { sandbox, sandboxId }: ControllerCreateRequest,
  ns: string,
  sandboxes: Sandboxes,
): Promise<SandboxSpec> {
  if (sandbox !== undefined) return { ...specOf(sandbox), id: sandbox.sandboxId || sandboxId }
  try {
    return await sandboxes.get(ns, sandboxId)
  } catch (error) {
    if (!isGantryError(error, 'NOT_FOUND')) throw error
    throw invalidArgument(`sandbox "${sandboxId}" is neither in the request nor in the store`, { cause: error })
  }
}
