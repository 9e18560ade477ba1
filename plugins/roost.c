/* SPDX-License-Identifier: Apache-2.0 */
/*
 * roost, the CNI main plugin: reads the request and the configuration, starts the timer, and
 * hands the call to its verb. Each verb is one path: read, plan, apply (add.c, del.c, gc.c; CHECK
 * and STATUS, which only look, are here).
 */
#include <errno.h>
#include <string.h>

#include "lib/cni.h"
#include "lib/cni_result.h"
#include "lib/file.h"
#include "lib/log.h"
#include "lib/text.h"
#include "plugins/addresses.h"
#include "plugins/call.h"
#include "plugins/check.h"
#include "plugins/cni_main.h"
#include "plugins/conf.h"
#include "plugins/foreign.h"
#include "plugins/guard.h"
#include "plugins/pod.h"

#define DEADLINE_GC_S 45
#define DEADLINE_FOREIGN_S 110 /* an IPAM plugin may ask a DHCP server */

static int roost_check(struct call *c, struct err *e)
{
	struct cni_result prev;
	int r = call_open_pod(c, e);
	if (r >= 0)
		r = net_open(&c->host, e);
	if (r >= 0)
		r = cni_result_parse(c->request->prev, c->request->version, &prev, e);
	if (r < 0)
		return r;
	r = check_wiring(c->request, &prev, c->host, c->inside,
		conf_limits(&c->conf, &c->request->wishes), e);
	cni_result_done(&prev);
	if (r < 0)
		return r;
	if (!c->conf.in_process)
		return foreign_run(c->request, c->conf.ipam_type, "CHECK", e);
	r = call_open_state(c, NODE_READ, e);
	return r < 0 ? r : addresses_check(c->node, c->request, e);
}

/* An MTU that no IPv6 pod can have, configured or the uplink's. */
static int status_mtu(struct call *c, struct err *e)
{
	struct pod_facts facts = {0};
	int r = net_open(&c->host, e);
	if (r >= 0)
		r = net_get_host(c->host, &facts.host, e);
	if (r >= 0)
		r = pod_check_mtu(&c->conf, &facts, conf_has_pool(&c->conf, AF_INET6), e);
	return r < 0 ? cni_not_available(r, e) : r;
}

static int roost_status(struct call *c, struct err *e)
{
	int r = c->conf.in_process ? addresses_status(&c->conf, e) : 0;
	if (r >= 0)
		r = status_mtu(c, e);
	if (r < 0 || c->conf.in_process)
		return r;
	int supports = foreign_supports(c->request, c->conf.ipam_type, e);
	if (supports > 0)
		return foreign_run(c->request, c->conf.ipam_type, "STATUS", e);
	if (supports == 0)
		supports = err_set(e, EAGAIN, "IPAM plugin %s does not support CNI version %s",
			c->conf.ipam_type, cni_version_text(c->request->version));
	return cni_not_available(supports, e);
}

/* DEL cleans up first and then tells what was wrong with the call; the first error counts. */
static void keep_late(struct err *late, int error, const struct err *e)
{
	if (late->text[0])
		return;
	*late = *e;
	late->code = cni_code(error, e);
}

static void roost_open_log(const struct conf *c)
{
	struct err e;
	if (!*c->log_file)
		return;
	int r = log_open_file(c->log_file, c->log_file_bytes, &e);
	if (r == -ENOENT && c->makes_log_folder) {
		char folder[sizeof(c->log_file)];
		(void)text_copy(folder, sizeof(folder), c->log_file);
		*strrchr(folder, '/') = '\0';
		r = file_make_dir(folder, 0755, &e);
		if (r >= 0)
			r = log_open_file(c->log_file, c->log_file_bytes, &e);
	}
	if (r < 0)
		log_warning("%s", e.text);
}

static int roost_configure(struct call *c, struct err *late, struct err *e)
{
	bool find = c->request->command == CNI_DEL || c->request->command == CNI_GC;
	int r = conf_parse(c->request->conf, find ? CONF_FIND : CONF_FULL, &c->conf, e);
	if (r < 0 && c->request->command == CNI_DEL)
		keep_late(late, r, e);
	else if (r < 0)
		return r;
	log_set_level(c->conf.log_level);
	roost_open_log(&c->conf);
	unsigned int seconds = c->request->command == CNI_GC ? DEADLINE_GC_S : CNI_MAIN_DEADLINE_S;
	guard_deadline(c->request, &c->conf, c->conf.in_process ? seconds : DEADLINE_FOREIGN_S);
	return 0;
}

static int run_call(struct call *c, struct err *late, struct err *e)
{
	int r = roost_configure(c, late, e);
	if (r < 0)
		return r;
	switch (c->request->command) {
	case CNI_ADD:
		return call_add(c, e);
	case CNI_DEL:
		return call_del(c, e);
	case CNI_CHECK:
		return roost_check(c, e);
	case CNI_GC:
		return call_gc(c, e);
	case CNI_STATUS:
		return roost_status(c, e);
	case CNI_VERSION:
		break; /* answered by cni_read() */
	}
	return 0;
}

static int roost_run(const struct cni_request *request, struct err *late, struct err *e)
{
	/* After a success nothing is closed: the process ends here, and locks, sockets and the map of the
	 * node state end with it. One by one that costs 3 % of an ADD. Static, so that what is still held
	 * is no leak. */
	static struct call c;
	c = (struct call)CALL_OF(request);
	int r = run_call(&c, late, e);
	if (r < 0)
		call_done(&c);
	if (r < 0 || late->text[0])
		log_error("%s", r < 0 ? e->text : late->text);
	return r;
}

int main(void)
{
	return cni_main("roost", roost_run);
}
