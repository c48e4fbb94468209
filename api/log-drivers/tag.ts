/** The `tag` option: Go's templates, as far as tags are written in them. */
import { refused } from './option-values.ts'
import type { LogSubject } from './subject.ts'

const shortLength = 12

const fields: Readonly<Record<string, (subject: LogSubject) => string>> = {
  ID: ({ id }) => id.slice(0, shortLength),
  FullID: ({ id }) => id,
  Name: ({ name }) => name,
  FullName: ({ name }) => `/${name}`,
  ImageID: ({ imageId }) => imageId.replace(/^sha256:/, '').slice(0, shortLength),
  ImageFullID: ({ imageId }) => imageId,
  ImageName: ({ imageName }) => imageName,
  DaemonName: () => 'docker',
  ContainerID: ({ id }) => id,
  ContainerName: ({ name }) => `/${name}`,
  ContainerImageID: ({ imageId }) => imageId,
  ContainerImageName: ({ imageName }) => imageName,
}

const functions: Readonly<Record<string, (text: string) => string>> = {
  lower: text => text.toLowerCase(),
  upper: text => text.toUpperCase(),
  title: text => text.replace(/(^|\s)\S/g, first => first.toUpperCase()),
  json: text => JSON.stringify(text),
}

/** INVALID_ARGUMENT names what the template has and we do not know. */
export function expandTag(template: string, subject: LogSubject): string {
  return template.replace(/\{\{-?\s*(.*?)\s*-?\}\}/g, (_, action: string) => evaluate(action, subject, template))
}

/** `.Field`, `index .ContainerLabels "key"`, either with functions behind bars. */
function evaluate(action: string, subject: LogSubject, template: string): string {
  const [first = '', ...piped] = action.split('|').map(word => word.trim())
  const [, label] = /^index \.ContainerLabels "([^"]*)"$/.exec(first) ?? []
  const [, leading, name = ''] = /^(?:([a-z]+) )?\.(\w+)$/.exec(first) ?? []
  const value = label === undefined ? fields[name]?.(subject) : (subject.labels[label] ?? '')
  if (value === undefined) throw unknown(first, template)
  return [...(leading ? [leading] : []), ...piped].reduce((text, word) => {
    const apply = functions[word]
    if (!apply) throw unknown(word, template)
    return apply(text)
  }, value)
}

const unknown = (word: string, template: string) =>
  refused(
    `tag "${template}": "${word}" is not understood; there are ${Object.keys(fields)
      .map(name => `.${name}`)
      .join(', ')}, and the functions ${Object.keys(functions).join(', ')}`,
  )
