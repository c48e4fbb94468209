/** What `docker events` tells of images. */
import type { EngineEvents } from '../engine/events.ts'
import type { ImageTarget } from './image-target.ts'

type ImageAction = 'pull' | 'push' | 'tag' | 'untag' | 'delete' | 'save' | 'load' | 'import' | 'create'

/** `id` is the image's id, or for pulls and pushes the name that was moved. Its labels are attributes too. */
export function tellImage(
  events: EngineEvents,
  action: ImageAction,
  { id, name, image }: { id: string; name: string; image?: ImageTarget | undefined },
): void {
  const labels = image?.json.config?.Labels ?? {}
  events.publish({ type: 'image', action, actor: { id, attributes: { ...labels, name } } })
}
