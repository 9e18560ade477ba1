/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/*
 * CNI results: read one of any version (a prevResult, an IPAM plugin's answer), extend it, print
 * it in the version asked for. Inside, a result is always in the shape of 1.1.0 and valid, so
 * that what is printed can be read by strict consumers.
 */
#include <jansson.h>
#include <stdbool.h>
#include <stdint.h>

#include "lib/addr.h"
#include "lib/cni.h"
#include "lib/err.h"

struct cni_result {
	json_t *interfaces; /* arrays and object, owned, never NULL after init */
	json_t *ips;
	json_t *routes;
	json_t *dns;
};

void cni_result_init(struct cni_result *r);
void cni_result_done(struct cni_result *r);

/* Reads a result document of version v (one without cniVersion is taken as v; another version's
 * is -EINVAL). Every address, route, MAC and interface index is checked. -EBADMSG. */
int cni_result_parse(const json_t *doc, enum cni_version v, struct cni_result *out, struct err *e);

/* Adds an interface and returns its index. mac may be NULL; sandbox NULL for the host; mtu 0:
 * not said. Texts are valid UTF-8 (cni_env_check() sees to that). */
size_t cni_result_add_interface(struct cni_result *r, const char *name, const uint8_t *mac,
	const char *sandbox, uint32_t mtu);

/* interface < 0: not said (IPAM results). gateway NULL or without family: none. */
void cni_result_add_ip(struct cni_result *r, const struct cidr *address, const struct addr *gateway,
	int interface);
void cni_result_add_route(struct cni_result *r, const struct cidr *dst, const struct addr *gw);

/* dns: result form, borrowed; NULL or empty leaves what is there. */
void cni_result_set_dns(struct cni_result *r, const json_t *dns);

/* The document for version v; the caller owns *out. -EINVAL when v cannot say it (no address
 * for 0.1.0 and 0.2.0). */
int cni_result_format(const struct cni_result *r, enum cni_version v, json_t **out, struct err *e);

/* Prints it on stdout in one write, with a newline. -EIO. */
int cni_result_print(const struct cni_result *r, enum cni_version v, struct err *e);
