/** Puts a made image into a registry with plain requests: not with the client under test. */
import type { MadeImage } from '../fixtures/make-image.ts'

/** Pushes everything and tags the target; `authorization` is sent with every request. */
export async function putImage(
  host: string,
  repository: string,
  tag: string,
  image: MadeImage,
  authorization?: string,
): Promise<void> {
  const base = `http://${host}/v2/${repository}`
  const headers: Record<string, string> = authorization === undefined ? {} : { authorization }
  for (const blob of image.blobs) {
    if (isManifest(blob.mediaType)) {
      const names = blob.digest === image.target.digest ? [blob.digest, tag] : [blob.digest]
      for (const name of names)
        await expectStatus(
          fetch(`${base}/manifests/${name}`, {
            method: 'PUT',
            headers: { ...headers, 'content-type': blob.mediaType },
            body: new Uint8Array(blob.bytes),
          }),
          201,
        )
      continue
    }
    const opened = await expectStatus(fetch(`${base}/blobs/uploads/`, { method: 'POST', headers }), 202)
    const location = new URL(opened.headers.get('location') ?? '', base)
    location.searchParams.set('digest', blob.digest)
    await expectStatus(fetch(location, { method: 'PUT', headers, body: new Uint8Array(blob.bytes) }), 201)
  }
}

function isManifest(mediaType: string): boolean {
  return /manifest|image\.index/.test(mediaType)
}

async function expectStatus(answer: Promise<Response>, status: number): Promise<Response> {
  const response = await answer
  const text = await response.text()
  if (response.status !== status) throw new Error(`${response.url}: ${response.status} ${text}`)
  return response
}
