/** `docker rename`. */
import { isGantryError } from '#api/errors/errors.ts'
import { badRequest, conflict } from '../http/http-error.ts'
import { publishContainerEvent } from './actor.ts'
import type { ContainerParts } from './containers.ts'
import type { Found } from './store.ts'

/** 400 and 409 in Docker's words. */
export async function renameContainer({ engine, store }: ContainerParts, found: Found, wish: string): Promise<void> {
  const name = wish.replace(/^\//, '')
  if (!/^[a-zA-Z0-9][a-zA-Z0-9_.-]+$/.test(name))
    throw badRequest(
      `Error when allocating new name: Invalid container name (/${name}), only [a-zA-Z0-9][a-zA-Z0-9_.-] are allowed`,
    )
  if (name === found.name) throw badRequest('Renaming a container with the same name as its current name')
  try {
    await engine.core.containers.update({ id: found.id, name })
  } catch (error) {
    if (!isGantryError(error, 'ALREADY_EXISTS')) throw error
    const holder = await store.peek(name)
    throw conflict(
      `Error when allocating new name: Conflict. The container name "/${name}" is already in use by container "${holder?.id ?? ''}". You have to remove (or rename) that container to be able to reuse that name.`,
    )
  }
  publishContainerEvent(engine.events, { ...found, name }, 'rename', { oldName: `/${found.name}` })
}
