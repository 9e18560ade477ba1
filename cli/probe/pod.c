/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The pods of a probe: a network namespace that the probe made and holds as a descriptor, wired by
 * the installed plugins. Their CNI_NETNS is /proc/PID/fd/N: no name in the file system stays behind
 * when the probe is killed, and the kernel takes the namespace back with its last descriptor.
 * Besides the namespace an attachment may have left records (IPAM, port mappings), so it is
 * written into the journal before its ADD.
 *
 * A pod without wiring is never in the list: a failed ADD is undone by DEL at once, as runtimes do. One
 * whose DEL failed stays in the list, without servers, and is tried again at the end.
 */
#include <errno.h>
#include <stdio.h>

#include "cli/probe/attach.h"
#include "cli/probe/probe_impl.h"
#include "cli/probe/journal.h"
#include "lib/cni_result.h"
#include "lib/json.h"
#include "lib/mem.h"
#include "lib/net_link.h"
#include "lib/text.h"

#define PODS_MAX 64
#define CONF_DIR "/etc/cni/net.d"

/* ---- Making one ---- */

static void free_pod(struct probe *p, struct probe_pod *pod)
{
	probe_server_close(p, &pod->server);
	probe_attach_done(&pod->attach);
	ns_close(&pod->ns);
	free(pod);
}

/* ns NULL: of the node. */
static int open_net(const struct ns *ns, struct net **out, struct err *e)
{
	int r = ns ? ns_enter(ns, e) : 0;
	if (r < 0)
		return r;
	r = net_open(out, e);
	if (ns)
		ns_leave(ns);
	return r;
}

static int set_loopback_up(const struct ns *ns, struct err *e)
{
	CLEANUP_NET struct net *n = NULL;
	int r = open_net(ns, &n, e);
	if (r < 0)
		return r;
	net_set_up(n, (struct net_dev){.name = "lo"});
	return net_commit(n, NULL, e);
}

static int pod_take(struct probe_pod *pod, const struct probe_request *call, struct err *e)
{
	struct probe_attach *a = &pod->attach;
	int r = probe_attach_set_path(a, call->cni_path, e);
	if (r >= 0)
		r = probe_chain_load(
			call->conf_dir ? call->conf_dir : CONF_DIR, call->network, &a->chain, e);
	if (r >= 0 && json_array_size(call->port_mappings) &&
		probe_chain_has(&a->chain, "portMappings"))
		a->runtime = json_pack("{s:O}", "portMappings", call->port_mappings);
	return r;
}

/* The two ends of the pod's link. host is left zero when the other end is not here. */
static int find_ends(
	const struct probe_pod *pod, struct net_link *inside, struct net_link *host, struct err *e)
{
	CLEANUP_NET struct net *there = NULL, *here = NULL;
	int r = open_net(&pod->ns, &there, e);
	if (r >= 0)
		r = net_find_link(there, (struct net_dev){.name = PROBE_IFNAME}, inside, e);
	if (r < 0 || !inside->is_veth || !inside->peer)
		return r;
	r = net_open(&here, e);
	if (r >= 0)
		r = net_find_link(here, (struct net_dev){.index = inside->peer}, host, e);
	if (r == -ENODEV || (r >= 0 && !host->is_veth)) {
		*host = (struct net_link){0};
		r = 0;
	}
	return r;
}

static int pod_describe(const struct probe_pod *pod, json_t *answer, struct err *e)
{
	struct net_link inside = {0}, host = {0};
	struct cni_result result;
	int r = find_ends(pod, &inside, &host, e);
	if (r >= 0)
		r = cni_result_parse(pod->attach.result, pod->attach.chain.version, &result, e);
	if (r < 0)
		return r;
	json_t *ips = json_array(), *ip;
	const char *gateway = "";
	size_t i;
	json_array_foreach (result.ips, i, ip) {
		const char *g = json_string_value(json_object_get(ip, "gateway"));
		(void)json_array_append(ips, json_object_get(ip, "address"));
		gateway = g && !*gateway ? g : gateway;
	}
	json_put(answer, "container", json_of_text(pod->attach.container));
	json_put(answer, "network", json_of_text(pod->attach.chain.name));
	json_put(answer, "ips", ips);
	json_put(answer, "gateway", json_of_text(gateway));
	json_put(answer, "mtu", json_integer(inside.mtu));
	json_put(answer, "hostLink", json_of_text(host.name));
	json_put(answer, "plugins", probe_chain_types(&pod->attach.chain));
	json_put(answer, "capabilities", probe_chain_capabilities(&pod->attach.chain));
	json_put(answer, "port", json_integer(PROBE_PORT));
	cni_result_done(&result);
	return 0;
}

static int pod_wire(struct probe *p, struct probe_pod *pod, json_t *answer, struct err *e)
{
	int r = ns_make(&pod->ns, e);
	if (r >= 0)
		r = set_loopback_up(&pod->ns, e);
	if (r >= 0 && !p->journal)
		r = probe_journal_open(p->dirs.list[0], p->id, &p->journal, e);
	if (r < 0)
		return r;
	ns_path(&pod->ns, pod->attach.netns);
	pod->attach.cookie = ns_own_cookie();
	r = probe_attach_add(&pod->attach, p->journal, pod->name, e);
	if (r < 0)
		return r;
	r = pod_describe(pod, answer, e);
	if (r >= 0)
		r = probe_server_open(p, &pod->server, &pod->ns, PROBE_PORT, e);
	if (r < 0) {
		struct err ignored;
		(void)probe_attach_del(&pod->attach, p->journal, pod->name, &ignored);
	}
	return r;
}

int probe_pod_add(struct probe *p, const struct probe_request *call, struct err *e)
{
	const char *name = call->name;
	if (probe_place_find(p, name))
		return err_set(e, EEXIST, "there is a pod \"%s\" already", name);
	if (p->n_pods == PODS_MAX)
		return err_set(e, EAGAIN, "there are %d pods already", PODS_MAX);
	struct probe_pod *pod = mem_new(1, sizeof(*pod));
	pod->ns = (struct ns)NS_NONE;
	(void)text_copy(pod->name, sizeof(pod->name), name);
	(void)snprintf(pod->attach.container, sizeof(pod->attach.container), "%s-%s", p->id, name);
	int r = pod_take(pod, call, e);
	if (r >= 0)
		r = pod_wire(p, pod, call->answer, e);
	if (r < 0) {
		free_pod(p, pod);
		return r;
	}
	pod->next = p->pods;
	p->pods = pod;
	p->n_pods++;
	return 0;
}

/* ---- The rest of its life ---- */

static void unlink_pod(struct probe *p, struct probe_pod *pod)
{
	struct probe_pod **at = &p->pods;
	while (*at != pod)
		at = &(*at)->next;
	*at = pod->next;
	p->n_pods--;
}

static int remove_pod(struct probe *p, struct probe_pod *pod, struct err *e)
{
	probe_try_stop(p, pod);
	probe_server_close(p, &pod->server);
	int r = probe_attach_del(&pod->attach, p->journal, pod->name, e);
	if (r < 0)
		return r;
	unlink_pod(p, pod);
	free_pod(p, pod);
	return 0;
}

int probe_pod_del(struct probe *p, const struct probe_request *call, struct err *e)
{
	struct probe_pod *pod = probe_place_find(p, call->name);
	return pod ? remove_pod(p, pod, e) : 0;
}

int probe_pods_end(struct probe *p, struct err *e)
{
	int error = 0;
	while (p->pods) {
		struct probe_pod *pod = p->pods;
		struct err why = {0};
		int r = remove_pod(p, pod, &why);
		if (r >= 0)
			continue;
		if (error == 0)
			*e = why;
		error = error ? error : r;
		unlink_pod(p, pod); /* the journal keeps it for the next probe */
		free_pod(p, pod);
	}
	return error;
}

static int set_mtu(const struct ns *ns, struct net_dev d, uint32_t mtu, struct err *e)
{
	CLEANUP_NET struct net *n = NULL;
	int r = open_net(ns, &n, e);
	if (r < 0)
		return r;
	net_set_mtu(n, d, mtu);
	return net_commit(n, NULL, e);
}

int probe_pod_mtu(struct probe *p, const struct probe_request *call, struct err *e)
{
	struct probe_pod *pod = NULL;
	struct net_link inside = {0}, host = {0};
	int r = probe_place(p, call->name, &pod, e);
	if (r >= 0 && !call->mtu)
		return err_set(e, EINVAL, "\"mtu\" is missing");
	if (r >= 0)
		r = find_ends(pod, &inside, &host, e);
	if (r >= 0 && host.index)
		r = set_mtu(NULL, (struct net_dev){.index = host.index}, call->mtu, e);
	if (r >= 0)
		r = set_mtu(&pod->ns, (struct net_dev){.name = PROBE_IFNAME}, call->mtu, e);
	if (r >= 0)
		json_put(call->answer, "before", json_integer(inside.mtu));
	return r;
}
