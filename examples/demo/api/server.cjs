// GET / counts the visit in Redis and lists the notes of PostgreSQL; POST / adds a note.
const { createServer } = require('node:http')
const { Pool } = require('pg')
const { createClient } = require('redis')

const db = new Pool({ connectionString: process.env.DATABASE_URL, max: 5 })
const cache = createClient({ url: process.env.REDIS_URL })
db.on('error', (error) => console.error('database:', error.message))
cache.on('error', (error) => console.error('cache:', error.message))

async function answer(request) {
  if (request.url === '/health') {
    await Promise.all([db.query('SELECT 1'), cache.ping()])
    return { status: 'ok' }
  }
  if (request.method === 'POST') {
    let text = ''
    for await (const chunk of request) text += chunk
    const { rows } = await db.query('INSERT INTO notes (text) VALUES ($1) RETURNING id, text', [text.slice(0, 1000)])
    return rows[0]
  }
  const visits = await cache.incr('visits')
  const { rows } = await db.query('SELECT id, text FROM notes ORDER BY id')
  return { visits, notes: rows }
}

const server = createServer((request, response) => {
  answer(request).then(
    (body) => response.writeHead(200, { 'content-type': 'application/json' }).end(`${JSON.stringify(body)}\n`),
    (error) => response.writeHead(503, { 'content-type': 'text/plain' }).end(`${error.message}\n`),
  )
})

cache.connect().then(() => server.listen(3000, () => console.log('the API listens on port 3000')))

process.on('SIGTERM', () => {
  server.close()
  Promise.allSettled([db.end(), cache.quit()]).then(() => process.exit(0))
})
