import { invalidArgument } from '#api/errors/errors.ts'
import type { ImagesDefinition, Image as WireImage } from '#api/gen/containerd/services/images/v1/images.ts'
import type { ServiceImpl } from '#api/rpc/server.ts'
import { refusedFilter } from '#core/metadata/metadata.ts'
import type { ImageSpec, Images } from './images.ts'

/** containerd.services.images.v1.Images. */
export function imagesService(images: Images): ServiceImpl<typeof ImagesDefinition> {
  return {
    async get({ name }, { namespace }) {
      return { image: await images.get(namespace, name) }
    },
    async list({ filters }, { namespace }) {
      return { images: await images.list(namespace, filters).catch(refusedFilter) }
    },
    async create({ image, sourceDateEpoch }, { namespace, lease }) {
      return { image: await images.create(namespace, specOf(image), { at: sourceDateEpoch, lease }) }
    },
    async update({ image, updateMask, sourceDateEpoch }, { namespace, lease }) {
      return { image: await images.update(namespace, specOf(image), updateMask, { at: sourceDateEpoch, lease }) }
    },
    async delete({ name, sync, target }, { namespace, lease }) {
      await images.delete(namespace, name, { sync, lease, ...(target && { target }) })
      return {}
    },
  }
}

const noTarget = { mediaType: '', digest: '', size: 0n, annotations: {} }

function specOf(image: WireImage | undefined): ImageSpec {
  if (image === undefined) throw invalidArgument('image must be set')
  return { name: image.name, labels: image.labels, target: image.target ?? noTarget }
}
