import { TcomposeError } from '../../base/errors.ts'
import type { Handler, Routes } from '../router.ts'

/**
 * What a Docker daemon has and this one does not, by name. BuildKit's two connections are answered as by a daemon from
 * before BuildKit (404), at which clients turn to the classic builder or say what to set.
 */
export function unsupportedRoutes(): Routes {
  const buildKit: Handler = async (_, response) =>
    response.json(404, { message: 'BuildKit sessions are not supported (set DOCKER_BUILDKIT=0)' })
  return {
    'POST /session': buildKit,
    'POST /grpc': buildKit,
    'GET /containers/{id}/attach/ws': refuse('attaching by WebSocket is', 'POST /containers/{id}/attach'),
    'GET /containers/{id}/checkpoints': refuse('checkpoints are'),
    'POST /containers/{id}/checkpoints': refuse('checkpoints are'),
    'DELETE /containers/{id}/checkpoints/{name}': refuse('checkpoints are'),
    'GET /images/search': refuse('searching a registry is'),
    'POST /build/cancel': refuse('cancelling a build by its id is', 'close its connection'),
    'GET /plugins/{rest*}': refuse('plugins are'),
    'POST /plugins/{rest*}': refuse('plugins are'),
    'DELETE /plugins/{rest*}': refuse('plugins are'),
  }
}

function refuse(what: string, instead?: string): Handler {
  return async () => {
    throw new TcomposeError('UNSUPPORTED', `${what} not supported`, instead === undefined ? {} : { hint: instead })
  }
}
