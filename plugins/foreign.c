/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A foreign plugin hands out addresses of a subnet; on a routed pod they become /32 and /128, and
 * the subnet's gateway means nothing. Its routes say which destinations the pod reaches; without
 * any, all. Its answer is a stranger's document: read by the same strict parser as a prevResult.
 */
#include "plugins/foreign.h"

#include <errno.h>
#include <string.h>

#include "lib/exec.h"
#include "lib/json.h"
#include "lib/log.h"

#define DEADLINE_MS 100000 /* of a foreign plugin; less than that of the whole process */

static int take_addresses(const struct cni_result *result, struct pod_addresses *out, struct err *e)
{
	size_t i;
	const json_t *ip;
	json_array_foreach (result->ips, i, ip) {
		struct cidr c;
		int r = cidr_parse(json_string_value(json_object_get(ip, "address")), &c, e);
		if (r < 0)
			return r;
		if (out->n_addrs == POD_ADDRS)
			return err_set(e, EBADMSG, "the IPAM plugin gave more than %d addresses",
				POD_ADDRS);
		out->addrs[out->n_addrs++] = (struct pod_addr){.addr = c.addr};
	}
	if (!out->n_addrs)
		return err_set(e, EBADMSG, "the IPAM plugin gave no address");
	return 0;
}

static bool is_reachable(const struct pod_addresses *a, uint8_t family)
{
	for (size_t i = 0; i < a->n_addrs; i++)
		if (a->addrs[i].addr.family == family)
			return true;
	return false;
}

/* Routes of a family without an address lead nowhere and are left out. */
static int take_routes(const struct cni_result *result, struct pod_addresses *out, struct err *e)
{
	size_t i;
	const json_t *route;
	json_array_foreach (result->routes, i, route) {
		struct cidr c;
		int r = cidr_parse(json_string_value(json_object_get(route, "dst")), &c, e);
		if (r < 0)
			return r;
		c = cidr_masked(&c.addr, c.len);
		if (!is_reachable(out, c.addr.family) ||
			cidr_is_among(out->routes, out->n_routes, &c))
			continue;
		if (out->n_routes == POD_ROUTES)
			return err_set(
				e, EBADMSG, "the IPAM plugin gave more than %d routes", POD_ROUTES);
		out->routes[out->n_routes++] = c;
	}
	return 0;
}

int foreign_read(const struct cni_request *r, const char *type, const json_t *answer,
	struct pod_addresses *out, struct err *e)
{
	struct pod_addresses a = {0};
	struct cni_result result;
	if (!answer)
		return err_set(e, EBADMSG, "IPAM plugin %s answered nothing", type);
	int done = cni_result_parse(answer, r->version, &result, e);
	if (done < 0) {
		err_add(e, "answer of IPAM plugin %s", type);
		return done;
	}
	done = take_addresses(&result, &a, e);
	if (done >= 0)
		done = take_routes(&result, &a, e);
	if (done >= 0 && json_object_size(result.dns))
		a.dns = json_incref(result.dns);
	cni_result_done(&result);
	if (done >= 0)
		*out = a;
	return done;
}

static int foreign_exec(const struct cni_request *r, const char *type, const char *command,
	json_t **answer, struct err *e)
{
	int result = exec_refuse_self(r->path, type, e);
	return result < 0 ? result : exec_plugin(r, type, command, DEADLINE_MS, answer, e);
}

int foreign_add(
	const struct cni_request *r, const char *type, struct pod_addresses *out, struct err *e)
{
	CLEANUP_JSON json_t *answer = NULL;
	int result = foreign_exec(r, type, "ADD", &answer, e);
	if (result == -ENOENT)
		return result; /* there is no such plugin */
	if (result >= 0)
		result = foreign_read(r, type, answer, out, e);
	struct err undo;
	if (result < 0)
		(void)foreign_run(r, type, "DEL", &undo); /* the first error is the one to tell */
	return result;
}

int foreign_run(const struct cni_request *r, const char *type, const char *command, struct err *e)
{
	CLEANUP_JSON json_t *answer = NULL;
	int result = foreign_exec(r, type, command, &answer, e);
	if (result < 0)
		log_error("the IPAM plugin refused plugin=%s command=%s", type, command);
	return result;
}

int foreign_supports(const struct cni_request *r, const char *type, struct err *e)
{
	CLEANUP_JSON json_t *answer = NULL;
	int result = foreign_exec(r, type, "VERSION", &answer, e);
	if (result < 0)
		return result;
	size_t i;
	const json_t *version;
	json_array_foreach (json_object_get(answer, "supportedVersions"), i, version) {
		const char *text = json_string_value(version);
		if (text && strcmp(text, cni_version_text(r->version)) == 0)
			return 1;
	}
	return 0;
}
