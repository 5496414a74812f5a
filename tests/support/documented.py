"""The client documentation's own examples, as it writes them."""

from __future__ import annotations

NOTIFICATION = (
    '{"id": 91000, "start_time": "2019-12-02 12:46:17", "src": "36709676052", "dst": "3619996000", '
    '"exten": "252"}'
)
QUESTION_QUERY = "id=91000&start_time=2019-12-02+12%3A46%3A17&src=36709676052&dst=3619996000"
OUTGOING = (
    '{"id": 76355, "direction": 0, "start_time": "2019-12-03 11:41:56", '
    '"answer_time": "2019-12-03 11:42:03", '
    '"hangup_time": "2019-12-03 11:42:06", "src": "1102", "src_user_id": 6, "dst": "36301234576", '
    '"dst_user_id": null, "exten": "1102", "duration": 10, "billsec": 3, "ringtime": 2, '
    '"pincode": "private", "ivr_digits": null, "cc_call": -1, '
    '"monitor_file_name": "76355_vipexextern_demo_vipex_1102_363012…", '
    '"monitor_file": "UklGRr52DgBXQVZFZm10…", "price": 1.25, "cost_location": "12", "sub_cdrs": []}'
)
INBOUND = (
    '{"id": 91059, "direction": 1, "start_time": "2019-12-03 12:14:11", '
    '"answer_time": "2019-12-03 12:14:23", '
    '"hangup_time": "2019-12-03 12:14:27", "src": "3642999425", "src_user_id": null, "dst": "3642999408", '
    '"dst_user_id": null, "exten": "200", "duration": 16, "billsec": 4, "ringtime": 12, "pincode": null, '
    '"ivr_digits": "1,2", "cc_call": null, "monitor_file_name": null, "sub_cdrs": ['
    '{"id": 91060, "direction": 2, "start_time": "2019-12-03 12:14:11", "answer_time": null, '
    '"hangup_time": "2019-12-03 12:14:15", "src": "3642999425", "src_user_id": null, "dst": "3642999408", '
    '"dst_user_id": null, "exten": "200", "duration": 4, "billsec": 0, "ringtime": 4, "pincode": null, '
    '"ivr_digits": "1,2", "cc_call": null, "monitor_file_name": null}, '
    '{"id": 91062, "direction": 2, "start_time": "2019-12-03 12:14:15", "answer_time": null, '
    '"hangup_time": "2019-12-03 12:14:15", "src": "3642999425", "src_user_id": null, "dst": "221", '
    '"dst_user_id": null, "exten": "221", "duration": 0, "billsec": 0, "ringtime": 0, "pincode": null, '
    '"ivr_digits": null, "cc_call": 18, "monitor_file_name": null}, '
    '{"id": 91064, "direction": 1, "start_time": "2019-12-03 12:14:15", '
    '"answer_time": "2019-12-03 12:14:23", '
    '"hangup_time": "2019-12-03 12:14:27", "src": "3642999425", "src_user_id": null, "dst": "251", '
    '"dst_user_id": null, "exten": "251", "duration": 12, "billsec": 4, "ringtime": 8, "pincode": null, '
    '"ivr_digits": null, "cc_call": 18, "monitor_file_name": "91064_vipex_demo_3642999425_251….mp3", '
    '"monitor_file": "BQAGAACACAAIAAKACgAKAAS…"}]}'
)
