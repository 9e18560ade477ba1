/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What is said of a key is refused only with the value that roost does not have.
 */
#include "plugins/portmap.h"

#include <errno.h>

static int portmap_refuse(const char *key, const char *value, const char *why, struct err *e)
{
	(void)err_set(e, EOPNOTSUPP, "%s%s is not supported: %s", key, value, why);
	err_details(e, "a key of the portmap plugin; leave it out, or leave the capability "
		       "portMappings to that plugin");
	return -EOPNOTSUPP;
}

int portmap_check(const json_t *doc, struct err *e)
{
	static const char *const conditions[] = {"conditionsV4", "conditionsV6"};
	if (json_is_false(json_object_get(doc, "snat")))
		return portmap_refuse("snat", " false",
			"a pod that uses its own host port, and 127.0.0.1, get no answer without "
			"it",
			e);
	if (json_is_true(json_object_get(doc, "masqAll")))
		return portmap_refuse(
			"masqAll", " true", "clients of host ports keep their address", e);
	for (size_t i = 0; i < 2; i++) {
		const json_t *list = json_object_get(doc, conditions[i]);
		if (list && !json_is_null(list) && json_array_size(list))
			return portmap_refuse(conditions[i], "",
				"they are arguments of iptables, and host ports are led by "
				"nf_tables; hostIP limits a port to one address",
				e);
	}
	return 0;
}
