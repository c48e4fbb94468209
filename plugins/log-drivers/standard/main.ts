import { serve } from '#sdk/serve.ts'
import { standard } from './standard.ts'

await serve(standard)
