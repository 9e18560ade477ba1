/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The places that requests name: the pods of this probe, and the node itself.
 */
#include <errno.h>
#include <string.h>

#include "cli/probe/probe_impl.h"
#include "lib/json.h"

struct probe_pod *probe_place_find(const struct probe *p, const char *name)
{
	struct probe_pod *pod = p->pods;
	while (pod && strcmp(pod->name, name) != 0)
		pod = pod->next;
	return pod;
}

int probe_place_missing(const char *name, struct err *e)
{
	char shown[PROBE_NAME];
	(void)json_clean(shown, sizeof(shown), name);
	return err_set(e, ENOENT, "there is no pod \"%s\" here", shown);
}

int probe_place(const struct probe *p, const json_t *request, const char *key,
	struct probe_pod **out, struct err *e)
{
	const char *name = "";
	int r = json_get_string(request, "", key, &name, e);
	if (r < 0)
		return r;
	struct probe_pod *pod = *name ? probe_place_find(p, name) : NULL;
	if (*name && !pod)
		return probe_place_missing(name, e);
	*out = pod;
	return 0;
}
