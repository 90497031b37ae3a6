;; Fills argument bytes from a 32-bit xorshift generator (13, 17, 5; seed 2463534242; lowest byte of
;; each state), then returns their 64-bit FNV-1a hash.
;; Work grows with argument. Memory: the bytes.
(module
  (memory (export "memory") 1)
  (global $state (mut i32) (i32.const 2463534242))

  (func $need (param $bytes i32)
    (local $pages i32)
    (local.set $pages
      (i32.sub
        (i32.shr_u (i32.add (local.get $bytes) (i32.const 65535)) (i32.const 16))
        (memory.size)))
    (if (i32.gt_s (local.get $pages) (i32.const 0))
      (then
        (if (i32.eq (memory.grow (local.get $pages)) (i32.const -1))
          (then (unreachable))))))

  (func $random (result i32)
    (local $x i32)
    (local.set $x (global.get $state))
    (local.set $x (i32.xor (local.get $x) (i32.shl (local.get $x) (i32.const 13))))
    (local.set $x (i32.xor (local.get $x) (i32.shr_u (local.get $x) (i32.const 17))))
    (local.set $x (i32.xor (local.get $x) (i32.shl (local.get $x) (i32.const 5))))
    (global.set $state (local.get $x))
    (local.get $x))

  (func $fill (param $bytes i32)
    (local $at i32)
    (loop $next
      (i32.store8 (local.get $at) (call $random))
      (br_if $next
        (i32.lt_u (local.tee $at (i32.add (local.get $at) (i32.const 1))) (local.get $bytes)))))

  (func $hash (param $bytes i32) (result i64)
    (local $at i32) (local $hash i64)
    (local.set $hash (i64.const 0xcbf29ce484222325))
    (loop $next
      (local.set $hash
        (i64.mul
          (i64.xor (local.get $hash) (i64.load8_u (local.get $at)))
          (i64.const 0x100000001b3)))
      (br_if $next
        (i32.lt_u (local.tee $at (i32.add (local.get $at) (i32.const 1))) (local.get $bytes))))
    (local.get $hash))

  (func (export "run") (param $bytes i32) (result i64)
    (call $need (local.get $bytes))
    (call $fill (local.get $bytes))
    (call $hash (local.get $bytes))))
