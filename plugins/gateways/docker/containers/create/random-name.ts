/** Names for containers that were given none: an adjective and a thing that flows, stands or flies. */
import { randomInt } from 'node:crypto'

const adjectives =
  'amber ample apt ashen bold brave brief bright brisk broad calm candid clear clever cosy crisp curious deft eager early earnest easy even fair fine firm fond frank free fresh gentle glad golden good grand great green happy hardy honest jolly just keen kind light lively lucid mellow merry mild modest neat nimble noble open patient plain polite proud quick quiet rapid ready rosy sharp shiny silent silver simple smart smooth sober solid sound spry steady still stout sunny swift tender tidy true vivid warm wise witty young'.split(
    ' ',
  )
const nouns =
  'acorn alder anchor arch aspen badger barge beacon birch bridge brook canal cedar cliff clover comet coral crane creek delta dune eagle elm falcon fern finch fjord forest fox garden glacier gorse grove gull harbor hawk hazel heron hill island ivy jetty kestrel lagoon lake lantern larch lark lynx maple marsh meadow moss oak orchard osprey otter owl pebble petrel pier pine plover pond poplar quay raven reed ridge river robin rowan sail sparrow spruce squirrel stone stork swan tern thicket thrush tide tower valley wharf willow wren yew'.split(
    ' ',
  )

/** A number is added once it has not worked a few times. */
export function generateName(attempt: number): string {
  const name = `${adjectives[randomInt(adjectives.length)]}_${nouns[randomInt(nouns.length)]}`
  return attempt < 3 ? name : `${name}${randomInt(1000)}`
}
