// The places of everything in memory that a standard fixes, checked by the compiler.
//
// Spec: AMD APM vol. 2, "Layout of VMCB" (Appendix B) and "64-Bit Task State Segment"; TLFS,
// "Partition Reference TSC Page", "SynIC Messages" and the hypercalls of ports. The Python twins
// are compared with the same structures by tests/layouts.

#include "minihv/hypercalls.h"
#include "minihv/svm.h"
#include "minihv/synic.h"
#include "minihv/vmcb.h"
#include "minihv/x86.h"

#include <stddef.h>

_Static_assert(sizeof(struct mhv_vmcb) == 0x1000, "");
_Static_assert(offsetof(struct mhv_vmcb, control) == 0x000, "");
_Static_assert(offsetof(struct mhv_vmcb, save) == 0x400, "");

_Static_assert(sizeof(struct mhv_vmcb_segment) == 0x010, "");
_Static_assert(offsetof(struct mhv_vmcb_segment, selector) == 0x000, "");
_Static_assert(offsetof(struct mhv_vmcb_segment, attributes) == 0x002, "");
_Static_assert(offsetof(struct mhv_vmcb_segment, limit) == 0x004, "");
_Static_assert(offsetof(struct mhv_vmcb_segment, base) == 0x008, "");

_Static_assert(sizeof(struct mhv_vmcb_control) == 0x400, "");
_Static_assert(offsetof(struct mhv_vmcb_control, intercept_cr_read) == 0x000, "");
_Static_assert(offsetof(struct mhv_vmcb_control, intercept_cr_write) == 0x002, "");
_Static_assert(offsetof(struct mhv_vmcb_control, intercept_dr_read) == 0x004, "");
_Static_assert(offsetof(struct mhv_vmcb_control, intercept_dr_write) == 0x006, "");
_Static_assert(offsetof(struct mhv_vmcb_control, intercept_exceptions) == 0x008, "");
_Static_assert(offsetof(struct mhv_vmcb_control, intercept_instructions1) == 0x00C, "");
_Static_assert(offsetof(struct mhv_vmcb_control, intercept_instructions2) == 0x010, "");
_Static_assert(offsetof(struct mhv_vmcb_control, intercept_instructions3) == 0x014, "");
_Static_assert(offsetof(struct mhv_vmcb_control, pause_filter_threshold) == 0x03C, "");
_Static_assert(offsetof(struct mhv_vmcb_control, pause_filter_count) == 0x03E, "");
_Static_assert(offsetof(struct mhv_vmcb_control, iopm_base_pa) == 0x040, "");
_Static_assert(offsetof(struct mhv_vmcb_control, msrpm_base_pa) == 0x048, "");
_Static_assert(offsetof(struct mhv_vmcb_control, tsc_offset) == 0x050, "");
_Static_assert(offsetof(struct mhv_vmcb_control, guest_asid) == 0x058, "");
_Static_assert(offsetof(struct mhv_vmcb_control, tlb_control) == 0x05C, "");
_Static_assert(offsetof(struct mhv_vmcb_control, virtual_interrupt) == 0x060, "");
_Static_assert(offsetof(struct mhv_vmcb_control, interrupt_shadow) == 0x068, "");
_Static_assert(offsetof(struct mhv_vmcb_control, exit_code) == 0x070, "");
_Static_assert(offsetof(struct mhv_vmcb_control, exit_info_1) == 0x078, "");
_Static_assert(offsetof(struct mhv_vmcb_control, exit_info_2) == 0x080, "");
_Static_assert(offsetof(struct mhv_vmcb_control, exit_interrupt_info) == 0x088, "");
_Static_assert(offsetof(struct mhv_vmcb_control, nested_control) == 0x090, "");
_Static_assert(offsetof(struct mhv_vmcb_control, avic_apic_bar) == 0x098, "");
_Static_assert(offsetof(struct mhv_vmcb_control, ghcb_gpa) == 0x0A0, "");
_Static_assert(offsetof(struct mhv_vmcb_control, event_injection) == 0x0A8, "");
_Static_assert(offsetof(struct mhv_vmcb_control, nested_cr3) == 0x0B0, "");
_Static_assert(offsetof(struct mhv_vmcb_control, virtualization_extensions) == 0x0B8, "");
_Static_assert(offsetof(struct mhv_vmcb_control, clean_bits) == 0x0C0, "");
_Static_assert(offsetof(struct mhv_vmcb_control, next_rip) == 0x0C8, "");
_Static_assert(offsetof(struct mhv_vmcb_control, fetched_byte_count) == 0x0D0, "");
_Static_assert(offsetof(struct mhv_vmcb_control, fetched_bytes) == 0x0D1, "");

_Static_assert(sizeof(struct mhv_vmcb_save) == 0xc00, "");
_Static_assert(offsetof(struct mhv_vmcb_save, es) == 0x000, "");
_Static_assert(offsetof(struct mhv_vmcb_save, cs) == 0x010, "");
_Static_assert(offsetof(struct mhv_vmcb_save, ss) == 0x020, "");
_Static_assert(offsetof(struct mhv_vmcb_save, ds) == 0x030, "");
_Static_assert(offsetof(struct mhv_vmcb_save, fs) == 0x040, "");
_Static_assert(offsetof(struct mhv_vmcb_save, gs) == 0x050, "");
_Static_assert(offsetof(struct mhv_vmcb_save, gdtr) == 0x060, "");
_Static_assert(offsetof(struct mhv_vmcb_save, ldtr) == 0x070, "");
_Static_assert(offsetof(struct mhv_vmcb_save, idtr) == 0x080, "");
_Static_assert(offsetof(struct mhv_vmcb_save, tr) == 0x090, "");
_Static_assert(offsetof(struct mhv_vmcb_save, cpl) == 0x0CB, "");
_Static_assert(offsetof(struct mhv_vmcb_save, efer) == 0x0D0, "");
_Static_assert(offsetof(struct mhv_vmcb_save, cr4) == 0x148, "");
_Static_assert(offsetof(struct mhv_vmcb_save, cr3) == 0x150, "");
_Static_assert(offsetof(struct mhv_vmcb_save, cr0) == 0x158, "");
_Static_assert(offsetof(struct mhv_vmcb_save, dr7) == 0x160, "");
_Static_assert(offsetof(struct mhv_vmcb_save, dr6) == 0x168, "");
_Static_assert(offsetof(struct mhv_vmcb_save, rflags) == 0x170, "");
_Static_assert(offsetof(struct mhv_vmcb_save, rip) == 0x178, "");
_Static_assert(offsetof(struct mhv_vmcb_save, rsp) == 0x1D8, "");
_Static_assert(offsetof(struct mhv_vmcb_save, rax) == 0x1F8, "");
_Static_assert(offsetof(struct mhv_vmcb_save, star) == 0x200, "");
_Static_assert(offsetof(struct mhv_vmcb_save, lstar) == 0x208, "");
_Static_assert(offsetof(struct mhv_vmcb_save, cstar) == 0x210, "");
_Static_assert(offsetof(struct mhv_vmcb_save, sfmask) == 0x218, "");
_Static_assert(offsetof(struct mhv_vmcb_save, kernel_gs_base) == 0x220, "");
_Static_assert(offsetof(struct mhv_vmcb_save, sysenter_cs) == 0x228, "");
_Static_assert(offsetof(struct mhv_vmcb_save, sysenter_esp) == 0x230, "");
_Static_assert(offsetof(struct mhv_vmcb_save, sysenter_eip) == 0x238, "");
_Static_assert(offsetof(struct mhv_vmcb_save, cr2) == 0x240, "");
_Static_assert(offsetof(struct mhv_vmcb_save, g_pat) == 0x268, "");
_Static_assert(offsetof(struct mhv_vmcb_save, dbgctl) == 0x270, "");
_Static_assert(offsetof(struct mhv_vmcb_save, br_from) == 0x278, "");
_Static_assert(offsetof(struct mhv_vmcb_save, br_to) == 0x280, "");
_Static_assert(offsetof(struct mhv_vmcb_save, last_exception_from) == 0x288, "");
_Static_assert(offsetof(struct mhv_vmcb_save, last_exception_to) == 0x290, "");

_Static_assert(sizeof(struct mhv_task_state_segment) == 0x068, "");
_Static_assert(offsetof(struct mhv_task_state_segment, rsp0) == 0x004, "");
_Static_assert(offsetof(struct mhv_task_state_segment, rsp1) == 0x00C, "");
_Static_assert(offsetof(struct mhv_task_state_segment, rsp2) == 0x014, "");
_Static_assert(offsetof(struct mhv_task_state_segment, ist1) == 0x024, "");
_Static_assert(offsetof(struct mhv_task_state_segment, ist2) == 0x02C, "");
_Static_assert(offsetof(struct mhv_task_state_segment, ist3) == 0x034, "");
_Static_assert(offsetof(struct mhv_task_state_segment, ist4) == 0x03C, "");
_Static_assert(offsetof(struct mhv_task_state_segment, ist5) == 0x044, "");
_Static_assert(offsetof(struct mhv_task_state_segment, ist6) == 0x04C, "");
_Static_assert(offsetof(struct mhv_task_state_segment, ist7) == 0x054, "");
_Static_assert(offsetof(struct mhv_task_state_segment, io_map_base) == 0x066, "");

_Static_assert(sizeof(struct mhv_table_register) == 0x00a, "");
_Static_assert(offsetof(struct mhv_table_register, limit) == 0x000, "");
_Static_assert(offsetof(struct mhv_table_register, base) == 0x002, "");

_Static_assert(sizeof(struct mhv_reference_tsc_page) == 0x018, "");
_Static_assert(offsetof(struct mhv_reference_tsc_page, sequence) == 0x000, "");
_Static_assert(offsetof(struct mhv_reference_tsc_page, scale) == 0x008, "");
_Static_assert(offsetof(struct mhv_reference_tsc_page, offset) == 0x010, "");

// Bit n of an intercept word asks for one exit code.
_Static_assert(MHV_SVM_EXIT_SHUTDOWN == 0x60 + MHV_INTERCEPT1_SHUTDOWN, "");
_Static_assert(MHV_SVM_EXIT_XSETBV == 0x80 + MHV_INTERCEPT2_XSETBV, "");

_Static_assert(sizeof(struct mhv_message_slot) == 0x100, "");
_Static_assert(offsetof(struct mhv_message_slot, type) == 0x000, "");
_Static_assert(offsetof(struct mhv_message_slot, payload_bytes) == 0x004, "");
_Static_assert(offsetof(struct mhv_message_slot, flags) == 0x005, "");
_Static_assert(offsetof(struct mhv_message_slot, origin) == 0x008, "");
_Static_assert(offsetof(struct mhv_message_slot, payload) == 0x010, "");

_Static_assert(sizeof(struct mhv_timer_payload) == 0x018, "");
_Static_assert(offsetof(struct mhv_timer_payload, timer) == 0x000, "");
_Static_assert(offsetof(struct mhv_timer_payload, expiration_time) == 0x008, "");
_Static_assert(offsetof(struct mhv_timer_payload, delivery_time) == 0x010, "");

_Static_assert(sizeof(struct mhv_port_info) == 0x018, "");
_Static_assert(offsetof(struct mhv_port_info, type) == 0x000, "");
_Static_assert(offsetof(struct mhv_port_info, sint) == 0x008, "");
_Static_assert(offsetof(struct mhv_port_info, vp) == 0x00C, "");
_Static_assert(offsetof(struct mhv_port_info, base_flag) == 0x010, "");
_Static_assert(offsetof(struct mhv_port_info, flag_count) == 0x012, "");

_Static_assert(sizeof(struct mhv_connection_info) == 0x010, "");
_Static_assert(offsetof(struct mhv_connection_info, type) == 0x000, "");
_Static_assert(offsetof(struct mhv_connection_info, monitor_gpa) == 0x008, "");

_Static_assert(sizeof(struct mhv_create_port_input) == 0x030, "");
_Static_assert(offsetof(struct mhv_create_port_input, port_partition) == 0x000, "");
_Static_assert(offsetof(struct mhv_create_port_input, port_id) == 0x008, "");
_Static_assert(offsetof(struct mhv_create_port_input, connection_partition) == 0x010, "");
_Static_assert(offsetof(struct mhv_create_port_input, info) == 0x018, "");

_Static_assert(sizeof(struct mhv_connect_port_input) == 0x030, "");
_Static_assert(offsetof(struct mhv_connect_port_input, connection_partition) == 0x000, "");
_Static_assert(offsetof(struct mhv_connect_port_input, connection_id) == 0x008, "");
_Static_assert(offsetof(struct mhv_connect_port_input, port_partition) == 0x010, "");
_Static_assert(offsetof(struct mhv_connect_port_input, port_id) == 0x018, "");
_Static_assert(offsetof(struct mhv_connect_port_input, info) == 0x020, "");

_Static_assert(sizeof(struct mhv_port_input) == 0x010, "");
_Static_assert(offsetof(struct mhv_port_input, partition) == 0x000, "");
_Static_assert(offsetof(struct mhv_port_input, id) == 0x008, "");

_Static_assert(sizeof(struct mhv_port_property_input) == 0x020, "");
_Static_assert(offsetof(struct mhv_port_property_input, partition) == 0x000, "");
_Static_assert(offsetof(struct mhv_port_property_input, port_id) == 0x008, "");
_Static_assert(offsetof(struct mhv_port_property_input, code) == 0x010, "");
_Static_assert(offsetof(struct mhv_port_property_input, value) == 0x018, "");

_Static_assert(sizeof(struct mhv_post_message_input) == 0x100, "");
_Static_assert(offsetof(struct mhv_post_message_input, connection_id) == 0x000, "");
_Static_assert(offsetof(struct mhv_post_message_input, type) == 0x008, "");
_Static_assert(offsetof(struct mhv_post_message_input, payload_bytes) == 0x00C, "");
_Static_assert(offsetof(struct mhv_post_message_input, payload) == 0x010, "");

_Static_assert(sizeof(struct mhv_signal_event_input) == 0x008, "");
_Static_assert(offsetof(struct mhv_signal_event_input, connection_id) == 0x000, "");
_Static_assert(offsetof(struct mhv_signal_event_input, flag) == 0x004, "");
