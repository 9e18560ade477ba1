/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The op hello: who is there. The first one also clears away what killed probes left.
 */
#include <errno.h>
#include <sys/utsname.h>
#include <unistd.h>

#include "cli/ipam_json.h"
#include "cli/output.h"
#include "cli/probe/attach.h"
#include "cli/probe/probe_impl.h"

#define PROTOCOL 1

int probe_hello(
	struct probe *p, json_int_t id, const json_t *request, json_t *answer, struct err *e)
{
	(void)id;
	(void)request;
	json_t *cleaned = json_array(), *troubles = json_array();
	struct utsname names = {0};
	(void)uname(&names);
	ipam_json_put(answer, "version", output_json_text(ROOST_VERSION));
	ipam_json_put(answer, "protocol", json_integer(PROTOCOL));
	ipam_json_put(answer, "pid", json_integer(getpid()));
	ipam_json_put(answer, "hostname", output_json_text(names.nodename));
	ipam_json_put(answer, "kernel", output_json_text(names.release));
	ipam_json_put(answer, "hasIPv6", json_boolean(access("/proc/net/if_inet6", F_OK) == 0));
	ipam_json_put(answer, "cleaned", cleaned);
	ipam_json_put(answer, "troubles", troubles);
	if (p->cleaned)
		return 0;
	p->cleaned = true;
	return probe_attach_clean(p->options->state_dir, cleaned, troubles, e);
}
