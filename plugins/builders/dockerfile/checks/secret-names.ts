/** Names of variables that, by Docker's check SecretsUsedInArgOrEnv, hold what nobody else should know. */

/** Last words of names that mean something nobody else should know. */
const secretWords = [
  'apikey',
  'auth',
  'credential',
  'credentials',
  'key',
  'password',
  'pword',
  'passwd',
  'secret',
  'token',
]
/** …and words that say it is no secret after all. */
const publicWords = ['public', 'file', 'path', 'url', 'name', 'id']

export function isSecretName(name: string): boolean {
  const words = name.toLowerCase().split(/[_-]/)
  return words.some(word => secretWords.includes(word)) && !words.some(word => publicWords.includes(word))
}
