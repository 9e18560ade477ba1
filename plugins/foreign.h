/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/*
 * Addresses from an IPAM plugin that is not ours (host-local, static, dhcp...), executed as the
 * CNI specification says (section 4), with its errors handed on as they are.
 */
#include "lib/cni.h"
#include "lib/err.h"
#include "plugins/pod.h"

/* ADD. An answer that cannot be used is followed by the plugin's own DEL. out->dns is the caller's.
 */
int foreign_add(
	const struct cni_request *r, const char *type, struct pod_addresses *out, struct err *e);

/* The pure part of it: what a plugin of this name answered (NULL: nothing), read for the request's
 * version. -EBADMSG, -EINVAL. */
int foreign_read(const struct cni_request *r, const char *type, const json_t *answer,
	struct pod_addresses *out, struct err *e);

/* DEL, CHECK, GC, STATUS: no answer but an error. */
int foreign_run(const struct cni_request *r, const char *type, const char *command, struct err *e);

/* Whether the plugin says (VERSION) that it knows the request's version: 1, 0 or an error. GC
 * and STATUS are not for older ones: they answer them with whatever error comes first. */
int foreign_supports(const struct cni_request *r, const char *type, struct err *e);
