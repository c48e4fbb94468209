/** Words of `gctr build --progress`; apart, for reading the flags must not load what shows a build. */
export const progressKinds = ['auto', 'plain', 'tty', 'quiet', 'rawjson'] as const
