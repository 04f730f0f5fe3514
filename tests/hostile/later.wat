;; Built for a WASI that is not there yet.
(component
  (import "wasi:cli/environment@0.4.0" (instance (export "get-arguments" (func (result (list string))))))
  (core module $m (func (export "run") (result i32) (i32.const 0)))
  (core instance $i (instantiate $m))
  (func $run (result (result)) (canon lift (core func $i "run")))
  (instance $exported (export "run" (func $run)))
  (export "wasi:cli/run@0.4.0" (instance $exported)))
