// The mapper itself: an e-mail address of an allowed domain becomes the name of a principal.

export interface Settings {
  claim: string;
  domains: string[];
  prefix?: string;
  allow_unverified?: boolean;
}

/** JSON Schema (2020-12) of the settings: the host shows it, and main.ts checks settings by it. */
export const schema = {
  $schema: "https://json-schema.org/draft/2020-12/schema",
  type: "object",
  additionalProperties: false,
  required: ["claim", "domains"],
  properties: {
    claim: { type: "string", minLength: 1, description: "claim that holds the e-mail address" },
    domains: {
      type: "array",
      minItems: 1,
      items: { type: "string", minLength: 1 },
      description: "domains whose addresses are let in",
    },
    prefix: { type: "string", description: "put before the name" },
    allow_unverified: {
      type: "boolean",
      description: "lets in addresses without email_verified: true; only for an identity provider that lets nobody choose an address",
    },
  },
};

/** A no: the caller is at fault. Whatever else is thrown says that the plugin is. */
export class Denied extends Error {
  constructor(
    readonly reason: string,
    detail: string,
    readonly status: "STATUS_UNAUTHENTICATED" | "STATUS_FORBIDDEN" = "STATUS_UNAUTHENTICATED",
  ) {
    super(detail);
  }
}

/** Gives the name of the principal, or throws: Denied for a no. */
export function principalName(settings: Settings, claims: Record<string, unknown>): string {
  const address = Object.hasOwn(claims, settings.claim) ? claims[settings.claim] : undefined;
  if (typeof address !== "string") {
    throw new Denied("claim_missing", `the token has no claim ${JSON.stringify(settings.claim)}`);
  }
  const [, local, domain] = /^([^@\s]+)@([^@\s]+)$/.exec(address) ?? [];
  if (local === undefined || domain === undefined) {
    throw new Denied("claim_invalid", `the claim ${JSON.stringify(settings.claim)} is no e-mail address`);
  }
  if (!settings.domains.some((d) => d.toLowerCase() === domain.toLowerCase())) {
    throw new Denied("domain_not_allowed", "addresses of this domain are not let in", "STATUS_FORBIDDEN");
  }
  if (settings.allow_unverified !== true && (!Object.hasOwn(claims, "email_verified") || claims.email_verified !== true)) {
    throw new Denied("email_not_verified", "the identity provider does not say that the address is verified", "STATUS_FORBIDDEN");
  }
  // With several domains the same local part may be of two people.
  const domains = new Set(settings.domains.map((d) => d.toLowerCase()));
  return (settings.prefix ?? "") + (domains.size === 1 ? local : address).toLowerCase();
}
