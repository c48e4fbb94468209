/** `/system/df` in the form of 1.52 and newer: a summary of each kind, the things themselves when `verbose` asks for them. */

export interface Measured {
  /** As the lists of older versions; null: not asked for. */
  images: readonly object[] | null
  containers: readonly object[] | null
  volumes: readonly object[] | null
  /** Bytes of all layers, each once. */
  layersSize: number
  verbose: boolean
}

interface ImageItem {
  Containers: number
  Size: number
  SharedSize: number
}
interface ContainerItem {
  State: string
  SizeRw: number
}
interface VolumeItem {
  UsageData: { RefCount: number; Size: number }
}

export function summaries({ images, containers, volumes, layersSize, verbose }: Measured): object {
  return {
    ...(images && { ImageUsage: imageUsage(images as ImageItem[], layersSize, verbose) }),
    ...(containers && { ContainerUsage: containerUsage(containers as ContainerItem[], verbose) }),
    ...(volumes && { VolumeUsage: volumeUsage(volumes as VolumeItem[], verbose) }),
  }
}

/** What images in use hold cannot be had back; what they share with others is theirs. */
function imageUsage(items: readonly ImageItem[], layersSize: number, verbose: boolean): object {
  const active = items.filter(({ Containers }) => Containers > 0)
  const held = total(active, ({ Size, SharedSize }) => Size - Math.max(0, SharedSize))
  return usage({ items, active: active.length, size: layersSize, reclaimable: Math.max(0, layersSize - held), verbose })
}

function containerUsage(items: readonly ContainerItem[], verbose: boolean): object {
  const isActive = ({ State }: ContainerItem) => State === 'running' || State === 'paused' || State === 'restarting'
  const [size, held] = [items, items.filter(isActive)].map(some => total(some, ({ SizeRw = 0 }) => SizeRw))
  const active = items.filter(isActive).length
  return usage({ items, active, size: size ?? 0, reclaimable: (size ?? 0) - (held ?? 0), verbose })
}

function volumeUsage(items: readonly VolumeItem[], verbose: boolean): object {
  const active = items.filter(({ UsageData }) => UsageData.RefCount > 0)
  const [size, held] = [items, active].map(some => total(some, ({ UsageData }) => Math.max(0, UsageData.Size)))
  return usage({ items, active: active.length, size: size ?? 0, reclaimable: (size ?? 0) - (held ?? 0), verbose })
}

const total = <T>(items: readonly T[], sizeOf: (item: T) => number) =>
  items.reduce((sum, item) => sum + sizeOf(item), 0)

interface Usage {
  items: readonly object[]
  active: number
  size: number
  reclaimable: number
  verbose: boolean
}

/** Members that Go leaves out when they are zero. */
function usage({ items, active, size, reclaimable, verbose }: Usage): object {
  return {
    ...(active > 0 && { ActiveCount: active }),
    ...(reclaimable > 0 && { Reclaimable: reclaimable }),
    ...(items.length > 0 && { TotalCount: items.length }),
    ...(size > 0 && { TotalSize: size }),
    ...(verbose && items.length > 0 && { Items: items }),
  }
}
