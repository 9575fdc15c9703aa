/** What a rule says of itself. */
export interface LintRule {
  readonly name: string
  readonly description: string
  readonly url: string
  /** Only when it is asked for by name. */
  readonly experimental: boolean
}

const BASE = 'https://docs.docker.com/go/dockerfile/rule/'

function rule(name: string, description: string, experimental = false): LintRule {
  const slug = name
    .replace(/^JSON/, 'Json')
    .replace(/[A-Z]/g, (letter, at: number) => `${at === 0 ? '' : '-'}${letter.toLowerCase()}`)
  return { name, description, url: `${BASE}${slug}/`, experimental }
}

/** The rules by name; the names and words are those that people look up. */
export const LINT_RULES: ReadonlyMap<string, LintRule> = new Map(
  [
    rule('StageNameCasing', 'Stage names should be lowercase'),
    rule('FromAsCasing', "The 'as' keyword should match the case of the 'from' keyword"),
    rule('NoEmptyContinuation', 'Empty continuation lines will become errors in a future release'),
    rule(
      'ConsistentInstructionCasing',
      'All commands within the Dockerfile should use the same casing (either upper or lower)',
    ),
    rule('DuplicateStageName', 'Stage names should be unique'),
    rule('ReservedStageName', 'Reserved words should not be used as stage names'),
    rule(
      'JSONArgsRecommended',
      'JSON arguments recommended for ENTRYPOINT/CMD to prevent unintended behavior related to OS signals',
    ),
    rule(
      'MaintainerDeprecated',
      'The MAINTAINER instruction is deprecated, use a label instead to define an image author',
    ),
    rule('UndefinedArgInFrom', 'FROM command must use declared ARGs'),
    rule(
      'WorkdirRelativePath',
      'Relative workdir without an absolute workdir declared within the build can have unexpected results if the base image changes',
    ),
    rule('UndefinedVar', 'Variables should be defined before their use'),
    rule(
      'MultipleInstructionsDisallowed',
      'Multiple instructions of the same type should not be used in the same stage',
    ),
    rule('LegacyKeyValueFormat', 'Legacy key/value format with whitespace separator should not be used'),
    rule('InvalidBaseImagePlatform', 'Base image platform does not match expected target platform'),
    rule(
      'RedundantTargetPlatform',
      'Setting platform to predefined $TARGETPLATFORM in FROM is redundant as this is the default behavior',
    ),
    rule('SecretsUsedInArgOrEnv', 'Sensitive data should not be used in the ARG or ENV commands'),
    rule('InvalidDefaultArgInFrom', 'Default value for global ARG results in an empty or invalid base image name'),
    rule('FromPlatformFlagConstDisallowed', 'FROM --platform flag should not use a constant value'),
    rule('CopyIgnoredFile', 'Attempting to Copy file that is excluded by .dockerignore'),
    rule(
      'InvalidDefinitionDescription',
      'Comment for build stage or argument should follow the format: `# <arg/stage name> <description>`. If this is not intended to be a description comment, add an empty line or comment between the instruction and the comment.',
      true,
    ),
    rule('ExposeProtoCasing', 'Protocol in EXPOSE instruction should be lowercase'),
    rule(
      'ExposeInvalidFormat',
      'IP address and host-port mapping should not be used in EXPOSE instruction. This will become an error in a future release',
    ),
  ].map((each) => [each.name, each]),
)
