/** Version of this client; package.json's, a test compares. */
export const clientVersion = '0.1.0'
